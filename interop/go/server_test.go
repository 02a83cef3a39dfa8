// Package interop reads a served ledger with libraries that know nothing of Writ: golang.org/x/mod/sumdb, which the Go checksum
// database is read with, and Tessera's client of C2SP tlog-tiles. Nothing here shares code with the project.
package interop

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// served is the ledger that all tests read. It only grows.
var served *server

type server struct {
	url   string // The prefix of the log, without a slash at the end.
	root  trustRoot
	writs string // The folder of writs.

	input  io.WriteCloser
	output *bufio.Scanner
}

// The variable that holds the command which serves a ledger; see writ-testing's interop-server for what it prints.
const command = "WRIT_INTEROP_SERVER"

func TestMain(m *testing.M) {
	status, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		status = 1
	}
	os.Exit(status)
}

func run(m *testing.M) (int, error) {
	words := strings.Fields(os.Getenv(command))
	if len(words) == 0 {
		return 1, fmt.Errorf("%s is not set; run `make interop`", command)
	}
	process := exec.Command(words[0], words[1:]...)
	process.Stderr = os.Stderr
	input, err := process.StdinPipe()
	if err != nil {
		return 1, err
	}
	output, err := process.StdoutPipe()
	if err != nil {
		return 1, err
	}
	if err := process.Start(); err != nil {
		return 1, err
	}
	status := 1
	served = &server{input: input, output: bufio.NewScanner(output)}
	err = served.meet()
	if err == nil {
		status = m.Run()
	}
	input.Close()
	if ended := process.Wait(); err == nil && ended != nil {
		err = fmt.Errorf("the server ended wrongly: %w", ended)
	}
	return status, err
}

// meet reads where the ledger is served, and what it is verified with.
func (s *server) meet() error {
	url, err := s.line()
	if err != nil {
		return err
	}
	path, err := s.line()
	if err != nil {
		return err
	}
	s.url, s.writs = url, filepath.Join(filepath.Dir(path), "writs")
	s.root, err = readTrustRoot(path)
	return err
}

// grow makes the ledger append, and returns its new size.
func (s *server) grow(t *testing.T) int64 {
	t.Helper()
	if _, err := io.WriteString(s.input, "grow\n"); err != nil {
		t.Fatal(err)
	}
	line, err := s.line()
	if err != nil {
		t.Fatal(err)
	}
	size, err := strconv.ParseInt(line, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return size
}

func (s *server) line() (string, error) {
	if s.output.Scan() {
		return s.output.Text(), nil
	}
	return "", fmt.Errorf("the server said nothing: %v", s.output.Err())
}

// trustRoot is what of a trust-root file matters here: one ledger, with the keys it began with.
type trustRoot struct {
	origin  string
	ed25519 string // Verifier keys.
	mlDSA44 string
}

func readTrustRoot(path string) (trustRoot, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return trustRoot{}, err
	}
	lines := strings.Split(string(text), "\n")
	fields := []string{"writ/trust-root@v1", "domain ", "ledger ", "genesis ", "keys 0", "key ", "key ", ""}
	if len(lines) != len(fields) {
		return trustRoot{}, fmt.Errorf("%s has %d lines, expected %d", path, len(lines), len(fields))
	}
	values := make([]string, len(fields))
	for i, field := range fields {
		value, found := strings.CutPrefix(lines[i], field)
		if !found {
			return trustRoot{}, fmt.Errorf("%s has %q, expected %q", path, lines[i], field)
		}
		values[i] = value
	}
	return trustRoot{origin: values[2], ed25519: values[5], mlDSA44: values[6]}, nil
}
