package interop

import (
	"bytes"
	"context"
	"net/url"
	"testing"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/client"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func fetcher(t *testing.T) *client.HTTPFetcher {
	t.Helper()
	prefix, err := url.Parse(served.url + "/")
	if err != nil {
		t.Fatal(err)
	}
	fetcher, err := client.NewHTTPFetcher(prefix, nil)
	if err != nil {
		t.Fatal(err)
	}
	return fetcher
}

func pinned(t *testing.T) note.Verifier {
	t.Helper()
	verifier, err := note.NewVerifier(served.root.ed25519)
	if err != nil {
		t.Fatal(err)
	}
	return verifier
}

func TestTesseraReadsEveryEntry(t *testing.T) {
	ctx, fetcher := context.Background(), fetcher(t)
	checkpoint, _, _, err := client.FetchCheckpoint(ctx, fetcher.ReadCheckpoint, pinned(t), served.root.origin)
	if err != nil {
		t.Fatal(err)
	}
	leaves, err := client.FetchLeafHashes(ctx, fetcher.ReadTile, 0, checkpoint.Size, checkpoint.Size)
	if err != nil {
		t.Fatal(err)
	}
	tree := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
	for tree.End() < checkpoint.Size {
		bundle, err := client.GetEntryBundle(ctx, fetcher.ReadEntryBundle, tree.End()/256, checkpoint.Size)
		if err != nil {
			t.Fatal(err)
		}
		if len(bundle.Entries) == 0 {
			t.Fatalf("no entry %d", tree.End())
		}
		for _, entry := range bundle.Entries {
			leaf := rfc6962.DefaultHasher.HashLeaf(entry)
			if !bytes.Equal(leaf, leaves[tree.End()]) {
				t.Errorf("entry %d does not have the hash of its leaf", tree.End())
			}
			if err := tree.Append(leaf, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	root, err := tree.GetRootHash(nil)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(root, checkpoint.Hash) {
		t.Errorf("root %x, expected %x", root, checkpoint.Hash)
	}
}

func TestTesseraProvesEveryEntryAsSumdbDoes(t *testing.T) {
	ctx, tree := context.Background(), served.checkpoint(t)
	entries := served.entries(t, tree.N)
	built := build(t, entries)
	for _, size := range sizes(tree.N) {
		builder, err := client.NewProofBuilder(ctx, uint64(size), fetcher(t).ReadTile)
		if err != nil {
			t.Fatal(err)
		}
		root := built.root(t, size)
		for index := range size {
			found, err := builder.InclusionProof(ctx, uint64(index))
			if err != nil {
				t.Fatal(err)
			}
			leaf := rfc6962.DefaultHasher.HashLeaf(entries[index])
			err = proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(index), uint64(size), leaf, found, root[:])
			if err != nil {
				t.Errorf("entry %d in %d: %v", index, size, err)
			}
			expected, err := tlog.ProveRecord(size, index, built)
			if err != nil {
				t.Fatal(err)
			}
			same(t, found, expected)
		}
	}
}

func TestTesseraProvesConsistencyAsSumdbDoes(t *testing.T) {
	ctx, tree := context.Background(), served.checkpoint(t)
	built := build(t, served.entries(t, tree.N))
	for _, size := range sizes(tree.N) {
		builder, err := client.NewProofBuilder(ctx, uint64(size), fetcher(t).ReadTile)
		if err != nil {
			t.Fatal(err)
		}
		root := built.root(t, size)
		for old := int64(1); old < size; old++ {
			found, err := builder.ConsistencyProof(ctx, uint64(old), uint64(size))
			if err != nil {
				t.Fatal(err)
			}
			oldRoot := built.root(t, old)
			err = proof.VerifyConsistency(
				rfc6962.DefaultHasher, uint64(old), uint64(size), found, oldRoot[:], root[:])
			if err != nil {
				t.Errorf("%d to %d: %v", old, size, err)
			}
			expected, err := tlog.ProveTree(size, old, built)
			if err != nil {
				t.Fatal(err)
			}
			same(t, found, expected)
		}
	}
}

func same[H ~[32]byte](t *testing.T, found [][]byte, expected []H) {
	t.Helper()
	if len(found) != len(expected) {
		t.Fatalf("%d hashes, expected %d", len(found), len(expected))
	}
	for i := range expected {
		if hash := [32]byte(expected[i]); !bytes.Equal(found[i], hash[:]) {
			t.Errorf("hash %d differs", i)
		}
	}
}

func TestTesseraFollowsTheLedgerAsItGrows(t *testing.T) {
	ctx, fetcher := context.Background(), fetcher(t)
	tracker, err := client.NewLogStateTracker(ctx, fetcher.ReadTile, nil, pinned(t), served.root.origin,
		client.UnilateralConsensus(fetcher.ReadCheckpoint))
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		size := served.grow(t)
		before, consistency, after, err := tracker.Update(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if tracker.Latest().Size != uint64(size) || len(consistency) == 0 || bytes.Equal(before, after) {
			t.Errorf("at %d, with %d hashes; expected %d", tracker.Latest().Size, len(consistency), size)
		}
	}
}
