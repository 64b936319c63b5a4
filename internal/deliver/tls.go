package deliver

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/weirlog/weir/internal/config"
)

// TLS says which certificates are used. The files are read at the start and at a reload.
type TLS struct {
	// CA is a file of certificates, one of which the other side's must be signed by. Default:
	// those that the system trusts.
	CA string `yaml:"ca"`
	// Cert is a file with the certificate that weir shows. Default none.
	Cert string `yaml:"cert"`
	// Key is a file with the key of Cert.
	Key string `yaml:"key"`
	// Verify checks the other side's certificate. Default true.
	Verify bool `yaml:"verify"`
}

// Check returns what is wrong with t, which is the key tls of a configuration.
func (t TLS) Check() error {
	if (t.Cert == "") != (t.Key == "") {
		return &config.Problem{Key: "tls", Message: "give cert and key together"}
	}
	return nil
}

// Config returns t as crypto/tls has it.
func (t TLS) Config() (*tls.Config, error) {
	secured := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: !t.Verify}
	if t.CA != "" {
		text, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("read tls.ca: %w", err)
		}
		secured.RootCAs = x509.NewCertPool()
		if !secured.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("read tls.ca: %s holds no certificates", t.CA)
		}
	}
	if t.Cert != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("read tls.cert and tls.key: %w", err)
		}
		secured.Certificates = []tls.Certificate{pair}
	}
	return secured, nil
}

// TLSRemedy says which key of the configuration is about an error of TLS; "" of other errors.
func TLSRemedy(err error) string {
	var authority x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var invalid x509.CertificateInvalidError
	var network *net.OpError
	switch {
	case errors.As(err, &authority):
		return "name the file with the certificates of the server's authority in tls.ca"
	case errors.As(err, &hostname):
		return "use the name in url that the server's certificate is for"
	case errors.As(err, &invalid):
		return "the server needs a certificate that is valid now (tls.verify: false takes any)"
	case errors.As(err, &network) && network.Op == "remote error" && strings.Contains(network.Err.Error(), "certificate"): // an alert of TLS about one
		return "the server does not take weir's certificate: give one that it knows in tls.cert and tls.key"
	}
	return ""
}
