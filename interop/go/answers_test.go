package interop

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestAnswersAreThoseOfTlogTiles(t *testing.T) {
	size := served.checkpoint(t).N
	beyond := fmt.Sprintf("tile/0/%03d.p/%d", size/256, size%256+1)
	const text, binary = "text/plain; charset=utf-8", "application/octet-stream"
	for _, expected := range []struct {
		path    string
		status  int
		kind    string
		caching string
	}{
		{"checkpoint", http.StatusOK, text, "no-cache"},
		{"tile/0/000", http.StatusOK, binary, "immutable"},
		{"tile/0/000.p/17", http.StatusOK, binary, "immutable"},
		{"tile/1/000.p/2", http.StatusOK, binary, "immutable"},
		{"tile/entries/001", http.StatusOK, binary, "immutable"},
		{beyond, http.StatusNotFound, text, "no-store"},
		{"tile/0/x001/000", http.StatusNotFound, text, "no-store"},
		{"tile/8/0/000", http.StatusBadRequest, text, "no-store"},
		{"tile/0/0", http.StatusBadRequest, text, "no-store"},
		{"latest", http.StatusBadRequest, text, "no-store"},
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			t.Run(method+" "+expected.path, func(t *testing.T) {
				reply, body := ask(t, method, expected.path)
				if reply.StatusCode != expected.status || reply.Header.Get("Content-Type") != expected.kind {
					t.Errorf("%s, %s", reply.Status, reply.Header.Get("Content-Type"))
				}
				if caching := reply.Header.Get("Cache-Control"); !strings.Contains(caching, expected.caching) {
					t.Errorf("Cache-Control: %s", caching)
				}
				if length := int64(len(body)); method == http.MethodGet && length != reply.ContentLength {
					t.Errorf("%d bytes, expected %d", length, reply.ContentLength)
				}
				if method == http.MethodHead && (len(body) != 0 || reply.ContentLength <= 0) {
					t.Errorf("%d bytes of %d", len(body), reply.ContentLength)
				}
			})
		}
	}
}

func ask(t *testing.T, method, path string) (*http.Response, []byte) {
	t.Helper()
	request, err := http.NewRequest(method, served.url+"/"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply, body
}
