package faulttest_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/enginetest"
	"github.com/weirlog/weir/internal/faulttest"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	last int64
}

func newAuthority(t *testing.T) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{t: t, key: key}
	a.cert = a.sign(key, &x509.Certificate{
		Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	return a
}

// sign makes a certificate of a key; of the authority's own it is the authority's.
func (a *authority) sign(key *ecdsa.PrivateKey, c *x509.Certificate) *x509.Certificate {
	a.t.Helper()
	a.last++
	c.SerialNumber = big.NewInt(a.last)
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent := a.cert
	if key == a.key {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return signed
}

// write writes the authority's certificate to dir as ca.pem.
func (a *authority) write(dir string) { writePEM(a.t, dir, "ca.pem", "CERTIFICATE", a.cert.Raw) }

// issue writes cert.pem and key.pem, of a key of their own, to dir.
func (a *authority) issue(dir string, usage x509.ExtKeyUsage) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	cert := a.sign(key, &x509.Certificate{
		Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage},
	})
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	writePEM(a.t, dir, "cert.pem", "CERTIFICATE", cert.Raw)
	writePEM(a.t, dir, "key.pem", "PRIVATE KEY", der)
}

func writePEM(t *testing.T, dir, name, kind string, der []byte) {
	t.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestDockerTLS follows an engine that listens on TCP and asks for certificates.
func TestDockerTLS(t *testing.T) {
	ours, other := newAuthority(t), newAuthority(t)
	server := t.TempDir()
	ours.write(server)
	ours.issue(server, x509.ExtKeyUsageServerAuth)
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := port.Addr().String()
	port.Close()
	e := enginetest.Start(t, "-H", "tcp://"+address, "--tlsverify", "--tlscacert", server+"/ca.pem",
		"--tlscert", server+"/cert.pem", "--tlskey", server+"/key.pem")
	if !e.Own {
		t.Skip("SKIP: the engine that is there has certificates of its own, or none")
	}
	run := func(t *testing.T, certificates string) *faulttest.Weir {
		env := []string{"DOCKER_HOST=tcp://" + address, "DOCKER_TLS_VERIFY=1", "DOCKER_CERT_PATH=" + certificates}
		return faulttest.Start(t, faulttest.Options{Env: env, Config: "sources: {docker: {read: api, start: beginning}}\n" + dockerRules})
	}
	t.Run("certificate", func(t *testing.T) {
		dir := t.TempDir()
		ours.write(dir)
		ours.issue(dir, x509.ExtKeyUsageClientAuth)
		w := run(t, dir)
		faulttest.WaitFor(t, "weir to have had its first look", func() bool { return w.Ready() })
		e := e.For(t)
		tag := tagOf(t, 0)
		s := said{}
		s.all(tag, 300)
		e.Wait(e.Run(enginetest.Container{Cmd: printing(tag, 300, 10)}))
		if r := s.settle(t, w); r.Lost != 0 || r.Doubled != 0 || r.Foreign != 0 || r.Gaps != 0 {
			t.Errorf("%+v", r)
		}
		if all := problems(t, w); len(all) > 0 {
			t.Errorf("problems %q", all)
		}
	})
	for _, test := range []struct {
		name   string
		files  func(dir string)
		remedy string
	}{
		{"no client certificate", ours.write, "cert.pem and key.pem"},
		{"certificate of another authority", func(dir string) { ours.write(dir); other.issue(dir, x509.ExtKeyUsageClientAuth) }, "cert.pem and key.pem"},
		{"engine of another authority", func(dir string) { other.write(dir); ours.issue(dir, x509.ExtKeyUsageClientAuth) }, "ca.pem"},
		{"no certificates", nil, "DOCKER_CERT_PATH"},
		{"empty folder", func(string) {}, "DOCKER_CERT_PATH"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := ""
			if test.files != nil {
				dir = t.TempDir()
				test.files(dir)
			}
			w := run(t, dir)
			var all []string
			faulttest.WaitFor(t, "the problem and its remedy", func() bool {
				all = problems(t, w)
				return len(all) == 1 && strings.Contains(all[0], test.remedy)
			})
			t.Log(all)
		})
	}
}

// problems returns what weir's ledger says is wrong, with the remedies.
func problems(t *testing.T, w *faulttest.Weir) (all []string) {
	t.Helper()
	resp, err := http.Get("http://" + w.Address() + "/weir/v1/ledger")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Problems []struct{ Component, Problem, Remedy string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	for _, p := range answer.Problems {
		if strings.HasPrefix(p.Component, "source/") {
			all = append(all, p.Problem+"; "+p.Remedy)
		}
	}
	return all
}
