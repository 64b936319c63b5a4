package deliver

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

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
