package kafka

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/mortise-dev/mortise/experiments/spec"
)

func TestSASL(t *testing.T) {
	_, c := fake(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "p", "pw"), kfake.Superuser("SCRAM-SHA-256", "s", "pw"), kfake.Superuser("SCRAM-SHA-512", "s", "pw"))
	for _, good := range []spec.SASL{
		{Mechanism: "PLAIN", Username: "p", Password: "pw"},
		{Mechanism: "SCRAM-SHA-256", Username: "s", Password: "pw"},
		{Mechanism: "SCRAM-SHA-512", Username: "s", Password: "pw"},
	} {
		c.SASL = good
		topics(t, c, 1, strings.ToLower(good.Mechanism))
	}
	for name, bad := range map[string]struct {
		sasl spec.SASL
		want string
	}{
		"password":  {spec.SASL{Mechanism: "PLAIN", Username: "p", Password: "secret"}, `user "p"`},
		"scram":     {spec.SASL{Mechanism: "SCRAM-SHA-256", Username: "s", Password: "secret"}, `user "s"`},
		"mechanism": {spec.SASL{Mechanism: "OAUTHBEARER", Token: "secret"}, "OAUTHBEARER"},
		"none":      {spec.SASL{}, "sasl block"},
		"unknown":   {spec.SASL{Mechanism: "GSSAPI"}, "use PLAIN, SCRAM-SHA-256"},
	} {
		c.SASL = bad.sasl
		began := time.Now()
		_, err := OpenAdmin(testContext(t), c)
		if err == nil || !strings.Contains(err.Error(), bad.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v, want an error with %q and without the secret", name, err, bad.want)
		}
		if waited := time.Since(began); waited > c.ConnectTimeout/2 {
			t.Errorf("%s: took %v, though waiting cannot mend it", name, waited)
		}
	}
}

func TestTLS(t *testing.T) {
	ca, server := certificates(t)
	_, c := fake(t, kfake.TLS(&tls.Config{Certificates: []tls.Certificate{server}}))
	_, plain := fake(t)
	c.TLS = spec.TLS{Enabled: true, RootCAsFile: ca}
	topics(t, c, 1, "in")
	c.TLS = spec.TLS{Enabled: true, SkipCertVerify: true}
	topics(t, c, 1, "in")

	notPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(notPEM, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]struct {
		to   Connection
		tls  spec.TLS
		want string
	}{
		"unknown CA":          {c, spec.TLS{Enabled: true}, "tls.root_cas_file"},
		"plain client":        {c, spec.TLS{}, "tls.enabled"},
		"plain broker":        {plain, spec.TLS{Enabled: true}, "TLS"},
		"missing CA file":     {c, spec.TLS{Enabled: true, RootCAsFile: "/nowhere/ca.pem"}, "/nowhere/ca.pem"},
		"CA file without PEM": {c, spec.TLS{Enabled: true, RootCAsFile: notPEM}, notPEM},
		"cert without key":    {c, spec.TLS{Enabled: true, CertFile: "c.pem"}, "tls.key_file"},
		"missing cert":        {c, spec.TLS{Enabled: true, CertFile: "c.pem", KeyFile: "k.pem"}, "c.pem"},
	} {
		bad.to.TLS, bad.to.ConnectTimeout = bad.tls, time.Second
		if _, err := OpenAdmin(testContext(t), bad.to); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, bad.want)
		}
	}
}

// certificates makes a CA and a certificate for 127.0.0.1 that it signed.
func certificates(t *testing.T) (caFile string, server tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return caFile, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestUnreachableBrokers(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := ln.Addr().String()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for name, addr := range map[string]string{"refused": refused, "silent": silent.Addr().String()} {
		c := Connection{Kafka: spec.Kafka{SeedBrokers: []string{addr}}, ConnectTimeout: 400 * time.Millisecond}
		began := time.Now()
		_, err := Open(testContext(t), workerOptions(c, "w"))
		var connect *ConnectError
		if !errors.As(err, &connect) || !strings.Contains(err.Error(), addr) || !strings.Contains(err.Error(), "check the addresses") {
			t.Errorf("%s: got %v, want ConnectError that names %s and what to check", name, err, addr)
		}
		if waited := time.Since(began); waited > 5*time.Second {
			t.Errorf("%s: took %v", name, waited)
		}
	}
	if _, err := OpenAdmin(testContext(t), Connection{}); err == nil || !strings.Contains(err.Error(), "--brokers") {
		t.Errorf("no brokers at all: got %v, want an error that says how to name them", err)
	}
	ctx, cancel := context.WithCancel(testContext(t))
	cancel()
	if _, err := OpenAdmin(ctx, Connection{Kafka: spec.Kafka{SeedBrokers: []string{refused}}}); err == nil {
		t.Error("a cancelled context: no error")
	}
}

func TestTopicErrors(t *testing.T) {
	c := connect(t)
	topics(t, c, 2, "feed.impressions", "more")
	topics(t, c, 3, "wide")
	o := workerOptions(c, "w")

	o.Inputs, o.Outputs = []string{"feed.impresions"}, nil
	_, err := Open(testContext(t), o)
	var missing *MissingTopicError
	if !errors.As(err, &missing) || missing.Topic != "feed.impresions" || !strings.Contains(err.Error(), `did you mean "feed.impressions"?`) {
		t.Errorf("a slip: got %v, want MissingTopicError with a suggestion", err)
	}
	o.Inputs = []string{"nothing-like-it"}
	if _, err = Open(testContext(t), o); !errors.As(err, &missing) || strings.Contains(err.Error(), "did you mean") {
		t.Errorf("nothing near: got %v, want MissingTopicError without a suggestion", err)
	}
	o.Inputs = []string{"more", "wide"}
	if _, err = Open(testContext(t), o); err == nil || !strings.Contains(err.Error(), "more has 2 partitions and topic wide has 3") {
		t.Errorf("different widths: got %v, want an error with both", err)
	}
	o.Inputs, o.Outputs = []string{"more"}, []string{"out"}
	if _, err = Open(testContext(t), o); !errors.As(err, &missing) || missing.Topic != "out" {
		t.Errorf("a missing output: got %v, want MissingTopicError", err)
	}
	// None of it made a topic.
	all, err := admin(t, c).Topics(testContext(t))
	if err != nil || len(all) != 3 || all["wide"] != 3 {
		t.Errorf("topics: got %v, %v, want the three that were made", all, err)
	}
}

func TestOptionsSayWhatIsMissing(t *testing.T) {
	for name, o := range map[string]Options{
		"consumer group":   {Inputs: []string{"in"}},
		"input topics":     {Group: "g"},
		"transactional id": {Group: "g", Inputs: []string{"in"}, ExactlyOnce: true},
	} {
		if _, err := Open(testContext(t), o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: got %v", name, err)
		}
	}
}
