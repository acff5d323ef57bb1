package kafka

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/experiments/kafka/kafkatest"
	"github.com/mortise-dev/mortise/experiments/spec"
)

// unsecured is a token as OAUTHBEARER takes them without a server that signs.
func unsecured(now time.Time) string {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	return part(`{"alg":"none"}`) + "." + part(fmt.Sprintf(`{"sub":"u","iat":%d,"exp":%d}`, now.Unix(), now.Add(time.Hour).Unix())) + "."
}

// TestListenersOfKafka has a worker go through every door that Apache Kafka has,
// with every client that it consists of, and be refused at each for the right
// reason.
func TestListenersOfKafka(t *testing.T) {
	s := kafkatest.Start(t)
	topics(t, emptied(t, s), 1, "in", "more", "out")
	ca, cert := spec.TLS{Enabled: true, RootCAsFile: s.CAFile}, spec.TLS{Enabled: true, RootCAsFile: s.CAFile, CertFile: s.CertFile, KeyFile: s.KeyFile}
	user := func(mechanism string) spec.SASL {
		return spec.SASL{Mechanism: mechanism, Username: kafkatest.User, Password: kafkatest.Password}
	}
	stranger := func(mechanism string) spec.SASL {
		return spec.SASL{Mechanism: mechanism, Username: kafkatest.User, Password: "secret"}
	}
	for name, l := range map[string]struct {
		addr   string
		tls    spec.TLS
		sasl   spec.SASL
		reason string // why it is refused; empty where it is let in
	}{
		"PLAIN":             {addr: s.SASL, sasl: user("PLAIN")},
		"SCRAM-SHA-256":     {addr: s.SASL, sasl: user("SCRAM-SHA-256")},
		"SCRAM-SHA-512":     {addr: s.SASL, sasl: user("SCRAM-SHA-512")},
		"OAUTHBEARER":       {addr: s.SASL, sasl: spec.SASL{Mechanism: "OAUTHBEARER", Token: unsecured(time.Now())}},
		"TLS":               {addr: s.TLS, tls: ca},
		"mutual TLS":        {addr: s.MutualTLS, tls: cert},
		"PLAIN refused":     {addr: s.SASL, sasl: stranger("PLAIN"), reason: "sasl.password"},
		"SCRAM refused":     {addr: s.SASL, sasl: stranger("SCRAM-SHA-512"), reason: "sasl.password"},
		"token refused":     {addr: s.SASL, sasl: spec.SASL{Mechanism: "OAUTHBEARER", Token: unsecured(time.Now().Add(-3 * time.Hour))}, reason: "sasl.token"},
		"no mechanism":      {addr: s.SASL, reason: "sasl block"},
		"unknown CA":        {addr: s.TLS, tls: spec.TLS{Enabled: true}, reason: "tls.root_cas_file"},
		"no certificate":    {addr: s.MutualTLS, tls: ca, reason: "tls.cert_file"},
		"plain to TLS":      {addr: s.TLS, reason: "tls.enabled"},
		"TLS to plain port": {addr: s.Plain, tls: ca, reason: "TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			o := workerOptions(Connection{Kafka: spec.Kafka{SeedBrokers: []string{l.addr}, TLS: l.tls, SASL: l.sasl}, ConnectTimeout: 5 * time.Second}, "g.w")
			tr, err := Open(testContext(t), o)
			if l.reason != "" {
				if err == nil || !strings.Contains(err.Error(), l.reason) || strings.Contains(err.Error(), "secret") {
					t.Errorf("got %v, want an error with %q", err, l.reason)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			gained(t, tr, 2)
			if err := tr.Produce(out(name)); err != nil {
				t.Fatal(err)
			}
			if err := tr.Commit(t.Context(), at(0, 0)); err != nil {
				t.Error(err)
			}
			if err := tr.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
