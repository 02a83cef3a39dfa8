package interop

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// tlogProof is a C2SP tlog-proof, version 1, read line by line.
type tlogProof struct {
	extra      []byte
	index      int64
	hashes     tlog.RecordProof
	checkpoint string
}

func parseTlogProof(text string) (proof tlogProof, err error) {
	header, checkpoint, found := strings.Cut(text, "\n\n")
	if !found {
		return proof, fmt.Errorf("no empty line before the checkpoint")
	}
	proof.checkpoint = checkpoint
	lines := strings.Split(header, "\n")
	if lines[0] != "c2sp.org/tlog-proof@v1" || len(lines) < 2 {
		return proof, fmt.Errorf("no tlog-proof: %q", lines[0])
	}
	lines = lines[1:]
	if extra, found := strings.CutPrefix(lines[0], "extra "); found {
		if proof.extra, err = base64.StdEncoding.Strict().DecodeString(extra); err != nil {
			return proof, err
		}
		lines = lines[1:]
	}
	if len(lines) == 0 {
		return proof, fmt.Errorf("no index")
	}
	index, found := strings.CutPrefix(lines[0], "index ")
	proof.index, err = strconv.ParseInt(index, 10, 64)
	if err != nil || !found || proof.index < 0 || strconv.FormatInt(proof.index, 10) != index {
		return proof, fmt.Errorf("no index: %q", lines[0])
	}
	for _, line := range lines[1:] {
		hash, err := parseHash(line)
		if err != nil {
			return proof, err
		}
		proof.hashes = append(proof.hashes, hash)
	}
	return proof, nil
}

// verify checks a writ as far as any tlog-proof client can, and returns the tree it is proved in.
func verify(text string) (tlogProof, tlog.Tree, error) {
	proof, err := parseTlogProof(text)
	if err != nil {
		return proof, tlog.Tree{}, err
	}
	tree, err := served.open([]byte(proof.checkpoint))
	if err != nil {
		return proof, tlog.Tree{}, err
	}
	return proof, tree, tlog.CheckRecord(proof.hashes, tree.N, tree.Hash, proof.index, tlog.RecordHash(proof.extra))
}

// writs are those that the server wrote down when their grants were recorded.
func writs(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(served.writs, "*.tlog-proof"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no writs in %s: %v", served.writs, err)
	}
	found := make(map[string]string)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		found[filepath.Base(path)] = string(text)
	}
	return found
}

func TestWritsAreTlogProofsOfServedEntries(t *testing.T) {
	newest := served.checkpoint(t)
	entries := served.entries(t, newest.N)
	for name, text := range writs(t) {
		proof, _, err := verify(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if name != fmt.Sprintf("%d.tlog-proof", proof.index) || !bytes.Equal(proof.extra, entries[proof.index]) {
			t.Errorf("%s is not entry %d", name, proof.index)
		}
	}
}

func TestTreesThatWritsWereProvedInArePrefixesOfTheServedOne(t *testing.T) {
	newest := served.checkpoint(t)
	reader := tlog.TileHashReader(newest, &cached{tiles: tiles{served}})
	for name, text := range writs(t) {
		_, tree, err := verify(text)
		if err != nil {
			t.Fatal(err)
		}
		consistency, err := tlog.ProveTree(newest.N, tree.N, reader)
		if err != nil {
			t.Fatal(err)
		}
		if err := tlog.CheckTree(consistency, newest.N, newest.Hash, tree.N, tree.Hash); err != nil {
			t.Errorf("%s: from %d to %d: %v", name, tree.N, newest.N, err)
		}
	}
}

func TestAWritWithOneByteAlteredIsRefused(t *testing.T) {
	for name, text := range writs(t) {
		// The signatures are left out: one is of a type that is ignored here.
		signed := strings.Index(text, "\n\n— ")
		if signed < 0 {
			t.Fatalf("%s is not signed", name)
		}
		for at := range signed {
			altered := []byte(text)
			altered[at] ^= 1
			if _, _, err := verify(string(altered)); err == nil {
				t.Errorf("%s: byte %d does not matter", name, at)
			}
		}
		// One is as good as another.
		break
	}
}
