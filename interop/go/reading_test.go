package interop

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const tileHeight = 8

// fetch gets what must be there.
func (s *server) fetch(path string) ([]byte, error) {
	reply, err := http.Get(s.url + "/" + path)
	if err != nil {
		return nil, err
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		return nil, err
	}
	if reply.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s: %s", path, reply.Status, body)
	}
	return body, nil
}

// checkpoint gets and verifies the newest tree.
func (s *server) checkpoint(t *testing.T) tlog.Tree {
	t.Helper()
	signed, err := s.fetch("checkpoint")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := s.open(signed)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// open verifies a checkpoint with the pinned Ed25519 key.
func (s *server) open(signed []byte) (tlog.Tree, error) {
	verifier, err := note.NewVerifier(s.root.ed25519)
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	return parseCheckpoint(opened.Text, s.root.origin)
}

// parseCheckpoint reads the three lines of a C2SP tlog-checkpoint. (tlog.ParseTree reads those of the Go checksum database only.)
func parseCheckpoint(text, origin string) (tlog.Tree, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[0] != origin || lines[3] != "" {
		return tlog.Tree{}, fmt.Errorf("no checkpoint of %s: %q", origin, text)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return tlog.Tree{}, fmt.Errorf("no size: %q", lines[1])
	}
	root, err := parseHash(lines[2])
	if err != nil {
		return tlog.Tree{}, err
	}
	return tlog.Tree{N: size, Hash: root}, nil
}

func parseHash(text string) (tlog.Hash, error) {
	bytes, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(bytes) != tlog.HashSize {
		return tlog.Hash{}, fmt.Errorf("no hash: %q", text)
	}
	return tlog.Hash(bytes), nil
}

// tilePath is where tlog-tiles has a tile. Tile.Path says `tile/H/L/N[.p/W]`, with `data` for the level of entries; tlog-tiles has
// one height, hence does not name it, and says `entries`.
func tilePath(tile tlog.Tile) string {
	rest, found := strings.CutPrefix(tile.Path(), fmt.Sprintf("tile/%d/", tileHeight))
	if !found {
		panic("a tile of another height: " + tile.Path())
	}
	if entries, found := strings.CutPrefix(rest, "data/"); found {
		rest = "entries/" + entries
	}
	return "tile/" + rest
}

// tiles reads tiles for tlog.TileHashReader, which verifies them.
type tiles struct{ *server }

func (tiles) Height() int { return tileHeight }

func (s tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	read := make([][]byte, len(wanted))
	for i, tile := range wanted {
		bytes, err := s.fetch(tilePath(tile))
		if err != nil {
			return nil, err
		}
		read[i] = bytes
	}
	return read, nil
}

func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}

// bundles says which entry bundles a tree of this size has.
func bundles(size int64) []tlog.Tile {
	var found []tlog.Tile
	for first := int64(0); first < size; first += 1 << tileHeight {
		width := min(size-first, 1<<tileHeight)
		found = append(found, tlog.Tile{H: tileHeight, L: -1, N: first >> tileHeight, W: int(width)})
	}
	return found
}

// entries gets all entries of a tree.
func (s *server) entries(t *testing.T, size int64) [][]byte {
	t.Helper()
	var entries [][]byte
	for _, bundle := range bundles(size) {
		bytes, err := s.fetch(tilePath(bundle))
		if err != nil {
			t.Fatal(err)
		}
		for range bundle.W {
			if len(bytes) < 2 || len(bytes) < 2+int(binary.BigEndian.Uint16(bytes)) {
				t.Fatalf("%s ends within an entry", tilePath(bundle))
			}
			end := 2 + int(binary.BigEndian.Uint16(bytes))
			entries, bytes = append(entries, bytes[2:end]), bytes[end:]
		}
		if len(bytes) != 0 {
			t.Fatalf("%s has %d bytes more", tilePath(bundle), len(bytes))
		}
	}
	return entries
}

// stored is a tree that was built from entries, here.
type stored []tlog.Hash

func build(t *testing.T, entries [][]byte) *stored {
	t.Helper()
	built := new(stored)
	for i, entry := range entries {
		hashes, err := tlog.StoredHashes(int64(i), entry, built)
		if err != nil {
			t.Fatal(err)
		}
		*built = append(*built, hashes...)
	}
	return built
}

func (s *stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index >= int64(len(*s)) {
			return nil, fmt.Errorf("there is no hash %d", index)
		}
		hashes[i] = (*s)[index]
	}
	return hashes, nil
}

func (s *stored) root(t *testing.T, size int64) tlog.Hash {
	t.Helper()
	root, err := tlog.TreeHash(size, s)
	if err != nil {
		t.Fatal(err)
	}
	return root
}
