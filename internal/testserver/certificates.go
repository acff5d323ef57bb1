package testserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Certificates are PEM files of a CA's, for servers on loopback that trust it.
type Certificates struct {
	CAFile string
	// ServerFile has the server's key, its certificate and the CA's.
	ServerFile string
	// CertFile and KeyFile are a client's.
	CertFile, KeyFile string
}

// MakeCertificates writes them into a folder.
func MakeCertificates(dir string) (*Certificates, error) {
	c := &Certificates{CAFile: filepath.Join(dir, "ca.pem"), ServerFile: filepath.Join(dir, "server.pem"), CertFile: filepath.Join(dir, "client.pem"), KeyFile: filepath.Join(dir, "client-key.pem")}
	ca := template("test CA")
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	caPEM, err := sign(ca, ca, caKey, caKey)
	if err != nil {
		return nil, err
	}
	serverCert, serverKey, err := issue("server", ca, caKey)
	if err != nil {
		return nil, err
	}
	clientCert, clientKey, err := issue("client", ca, caKey)
	if err != nil {
		return nil, err
	}
	for path, content := range map[string][]byte{c.CAFile: caPEM, c.ServerFile: slices.Concat(serverKey, serverCert, caPEM), c.CertFile: clientCert, c.KeyFile: clientKey} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func template(name string) *x509.Certificate {
	return &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
}

// issue makes a key and a certificate that ca signed, both PEM.
func issue(name string, ca *x509.Certificate, caKey *ecdsa.PrivateKey) (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	cert, err = sign(template(name), ca, private, caKey)
	return cert, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

func sign(cert, ca *x509.Certificate, key, caKey *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.CreateCertificate(rand.Reader, cert, ca, key.Public(), caKey)
	if err != nil {
		return nil, fmt.Errorf("signing the certificate of %s: %w", cert.Subject.CommonName, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}
