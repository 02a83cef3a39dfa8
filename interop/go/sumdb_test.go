package interop

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/transparency-dev/tessera/api/layout"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func TestCheckpointIsSignedByThePinnedKey(t *testing.T) {
	signed, err := served.fetch("checkpoint")
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(served.root.ed25519)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		t.Fatal(err)
	}
	// The ML-DSA-44 signature is of a type that this library does not know: it says so, and goes on.
	if len(opened.Sigs) != 1 || len(opened.UnverifiedSigs) != 1 {
		t.Fatalf("%d signatures verified, %d not; expected 1 and 1", len(opened.Sigs), len(opened.UnverifiedSigs))
	}
	for _, signature := range slices.Concat(opened.Sigs, opened.UnverifiedSigs) {
		if signature.Name != served.root.origin {
			t.Errorf("signed by %q, expected %q", signature.Name, served.root.origin)
		}
	}
	if tree := served.checkpoint(t); tree.N <= 512 {
		t.Fatalf("%d entries: too few for two full tiles and one that is not", tree.N)
	}
}

func TestTheOtherPinnedKeyIsOfAnUnknownType(t *testing.T) {
	if _, err := note.NewVerifier(served.root.mlDSA44); err == nil {
		t.Fatal("this library knows ML-DSA-44 now: verify with both keys")
	}
}

func TestCheckpointIsNotSignedByAnotherKey(t *testing.T) {
	signed, err := served.fetch("checkpoint")
	if err != nil {
		t.Fatal(err)
	}
	_, other, err := note.GenerateKey(nil, served.root.origin)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(other)
	if err != nil {
		t.Fatal(err)
	}
	var unverified *note.UnverifiedNoteError
	if _, err := note.Open(signed, note.VerifierList(verifier)); !errors.As(err, &unverified) {
		t.Errorf("another key: %v", err)
	}
	altered := bytes.Replace(signed, []byte("\n"), []byte("\n1"), 1)
	var invalid *note.InvalidSignatureError
	if _, err := served.open(altered); !errors.As(err, &invalid) {
		t.Errorf("another size: %v", err)
	}
}

func TestEveryEntryHashesToItsLeafAndAllToTheRoot(t *testing.T) {
	tree := served.checkpoint(t)
	entries := served.entries(t, tree.N)
	for i, bundle := range bundles(tree.N) {
		bundle.L = 0
		leaves, err := served.fetch(tilePath(bundle))
		if err != nil {
			t.Fatal(err)
		}
		var expected []byte
		for _, entry := range entries[i<<tileHeight:][:bundle.W] {
			hash := tlog.RecordHash(entry)
			expected = append(expected, hash[:]...)
		}
		if !bytes.Equal(leaves, expected) {
			t.Errorf("%s does not have the hashes of its entries", tilePath(bundle))
		}
	}
	if root := build(t, entries).root(t, tree.N); root != tree.Hash {
		t.Errorf("root %v, expected %v", root, tree.Hash)
	}
}

func TestServedTilesAreThoseOfTheTree(t *testing.T) {
	tree := served.checkpoint(t)
	built := build(t, served.entries(t, tree.N))
	tiles := tlog.NewTiles(tileHeight, 0, tree.N)
	for _, tile := range tiles {
		expected, err := tlog.ReadTileData(tile, built)
		if err != nil {
			t.Fatal(err)
		}
		found, err := served.fetch(tilePath(tile))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(found, expected) {
			t.Errorf("%s is another tile", tilePath(tile))
		}
	}
	if !slices.ContainsFunc(tiles, func(tile tlog.Tile) bool { return tile.L == 1 }) {
		t.Error("the tree has one level only")
	}
}

func TestEveryEntryIsProvedFromTiles(t *testing.T) {
	tree := served.checkpoint(t)
	reader := tlog.TileHashReader(tree, &cached{tiles: tiles{served}})
	for i, entry := range served.entries(t, tree.N) {
		proof, err := tlog.ProveRecord(tree.N, int64(i), reader)
		if err != nil {
			t.Fatal(err)
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, int64(i), tlog.RecordHash(entry)); err != nil {
			t.Errorf("entry %d: %v", i, err)
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, int64(i), tlog.RecordHash(entry[1:])); err == nil {
			t.Errorf("entry %d: another entry has its proof", i)
		}
	}
}

// sizes of trees, around the borders of tiles.
func sizes(last int64) []int64 {
	return []int64{1, 2, 3, 7, 255, 256, 257, 300, 511, 512, 513, last - 1, last}
}

func TestTreesOfAllSizesAreConsistent(t *testing.T) {
	tree := served.checkpoint(t)
	built := build(t, served.entries(t, tree.N))
	reader := tlog.TileHashReader(tree, &cached{tiles: tiles{served}})
	for _, old := range sizes(tree.N) {
		for _, size := range sizes(tree.N) {
			if old > size {
				continue
			}
			proof, err := tlog.ProveTree(size, old, reader)
			if err != nil {
				t.Fatal(err)
			}
			oldRoot, root := built.root(t, old), built.root(t, size)
			if err := tlog.CheckTree(proof, size, root, old, oldRoot); err != nil {
				t.Errorf("%d to %d: %v", old, size, err)
			}
			oldRoot[0] ^= 1
			if err := tlog.CheckTree(proof, size, root, old, oldRoot); err == nil {
				t.Errorf("%d to %d: another root is consistent too", old, size)
			}
		}
	}
}

func TestTilesOfOlderTreesAreStillServed(t *testing.T) {
	tree := served.checkpoint(t)
	built := build(t, served.entries(t, tree.N))
	for _, size := range sizes(tree.N) {
		older := tlog.Tree{N: size, Hash: built.root(t, size)}
		reader := tlog.TileHashReader(older, tiles{served})
		proof, err := tlog.ProveRecord(size, size-1, reader)
		if err != nil {
			t.Fatalf("size %d: %v", size, err)
		}
		leaf := tlog.StoredHashIndex(0, size-1)
		if err := tlog.CheckRecord(proof, size, older.Hash, size-1, (*built)[leaf]); err != nil {
			t.Errorf("size %d: %v", size, err)
		}
	}
}

func TestTilePathsAreThoseOfTlogTiles(t *testing.T) {
	for _, level := range []int{-1, 0, 1, 7} {
		for _, n := range []int64{0, 1, 999, 1000, 1234067, 1 << 40} {
			for _, width := range []int{1, 255, 256} {
				tile := tlog.Tile{H: tileHeight, L: level, N: n, W: width}
				expected := layout.TilePath(uint64(max(level, 0)), uint64(n), uint8(width%256))
				if level < 0 {
					expected = layout.EntriesPath(uint64(n), uint8(width%256))
				}
				if found := tilePath(tile); found != expected {
					t.Errorf("%s, expected %s", found, expected)
				}
			}
		}
	}
	if path := tilePath(tlog.Tile{H: tileHeight, L: 0, N: 1234067, W: 5}); path != "tile/0/x001/x234/067.p/5" {
		t.Error(path)
	}
}

// cached keeps tiles that TileHashReader has found authentic.
type cached struct {
	tiles
	kept map[string][]byte
}

func (c *cached) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	read := make([][]byte, len(wanted))
	for i, tile := range wanted {
		bytes, found := c.kept[tilePath(tile)]
		if !found {
			fetched, err := c.fetch(tilePath(tile))
			if err != nil {
				return nil, err
			}
			bytes = fetched
		}
		read[i] = bytes
	}
	return read, nil
}

func (c *cached) SaveTiles(verified []tlog.Tile, data [][]byte) {
	if c.kept == nil {
		c.kept = make(map[string][]byte)
	}
	for i, tile := range verified {
		c.kept[tilePath(tile)] = data[i]
	}
}

func TestOriginIsTheNameOfTheKeys(t *testing.T) {
	for _, key := range []string{served.root.ed25519, served.root.mlDSA44} {
		if name, _, _ := strings.Cut(key, "+"); name != served.root.origin {
			t.Errorf("a key of %q, expected %q", name, served.root.origin)
		}
	}
}
