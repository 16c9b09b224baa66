// Check a log's folder with golang.org/x/mod/sumdb, the client of Go's own checksum log.
//
//	main FOLDER VKEY [OLDER-CHECKPOINT...]
//
// It reads `checkpoint`, `tile/<L>/<N>` and `tile/entries/<N>`; the tree logic, the signed notes and
// the proofs are sumdb's. Checked are the log's signature, each entry's inclusion, and that the
// tree of each older checkpoint is a prefix of the newest.
package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8 // hashes of a full tile: 1 << height

// folder hands out tiles; sumdb names them tile/8/L/N, C2SP tlog-tiles tile/L/N.
type folder struct {
	root string
	seen map[tlog.Tile][]byte
}

func (f folder) Height() int { return height }

func (f folder) SaveTiles([]tlog.Tile, [][]byte) {}

func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		if f.seen[tile] == nil {
			data, err := f.read(tile.Path())
			if err != nil {
				return nil, err
			}
			f.seen[tile] = data
		}
		all = append(all, f.seen[tile])
	}
	return all, nil
}

func (f folder) read(path string) ([]byte, error) {
	path = strings.Replace(path, fmt.Sprintf("tile/%d/", height), "tile/", 1)
	path = strings.Replace(path, "tile/data/", "tile/entries/", 1)
	return os.ReadFile(filepath.Join(f.root, filepath.FromSlash(path)))
}

// open returns the tree of a signed checkpoint. sumdb's own parser wants Go's first line.
func open(message []byte, verifier note.Verifier) (tlog.Tree, error) {
	opened, err := note.Open(message, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		return tlog.Tree{}, fmt.Errorf("no checkpoint of %s: %q", verifier.Name(), opened.Text)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

// entries calls check with each entry of the tree, out of its bundles.
func (f folder) entries(size int64, check func(index int64, entry []byte) error) error {
	for index := int64(0); index < size; {
		width := size - index
		if width > 1<<height {
			width = 1 << height
		}
		bundle := tlog.Tile{H: height, L: -1, N: index >> height, W: int(width)}
		data, err := f.read(bundle.Path())
		if err != nil {
			return err
		}
		for end := index + width; index < end; index++ {
			if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
				return fmt.Errorf("bundle %s ends within entry %d", bundle.Path(), index)
			}
			length := 2 + int(binary.BigEndian.Uint16(data))
			if err := check(index, data[2:length]); err != nil {
				return fmt.Errorf("entry %d: %w", index, err)
			}
			data = data[length:]
		}
		if len(data) != 0 {
			return fmt.Errorf("bundle %s has %d more bytes", bundle.Path(), len(data))
		}
	}
	return nil
}

func run(root string, vkey string, older []string) error {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return err
	}
	message, err := os.ReadFile(filepath.Join(root, "checkpoint"))
	if err != nil {
		return err
	}
	tree, err := open(message, verifier)
	if err != nil {
		return err
	}
	files := folder{root: root, seen: map[tlog.Tile][]byte{}}
	hashes := tlog.TileHashReader(tree, files)
	err = files.entries(tree.N, func(index int64, entry []byte) error {
		proof, err := tlog.ProveRecord(tree.N, index, hashes)
		if err != nil {
			return err
		}
		return tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry))
	})
	if err != nil {
		return err
	}
	for _, path := range older {
		message, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		before, err := open(message, verifier)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if before.N == 0 {
			continue // nothing to prove: sumdb knows no proof from an empty tree
		}
		proof, err := tlog.ProveTree(tree.N, before.N, hashes)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if err := tlog.CheckTree(proof, tree.N, tree.Hash, before.N, before.Hash); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	fmt.Printf("OK %d entries, %d older checkpoints\n", tree.N, len(older))
	return nil
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: main FOLDER VKEY [OLDER-CHECKPOINT...]")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, "REFUSED:", err)
		os.Exit(1)
	}
}
