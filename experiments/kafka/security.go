package kafka

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// security translates the tls and sasl blocks.
func (c *Connection) security() ([]kgo.Opt, error) {
	var opts []kgo.Opt
	if c.TLS.Enabled {
		conf, err := c.TLS.Config()
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.DialTLSConfig(conf))
	}
	if c.SASL.Mechanism != "" {
		mechanism, err := c.mechanism()
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.SASL(mechanism))
	}
	return opts, nil
}

func (c *Connection) mechanism() (sasl.Mechanism, error) {
	switch c.SASL.Mechanism {
	case "PLAIN":
		return plain.Auth{User: c.SASL.Username, Pass: c.SASL.Password}.AsMechanism(), nil
	case "SCRAM-SHA-256":
		return scram.Auth{User: c.SASL.Username, Pass: c.SASL.Password}.AsSha256Mechanism(), nil
	case "SCRAM-SHA-512":
		return scram.Auth{User: c.SASL.Username, Pass: c.SASL.Password}.AsSha512Mechanism(), nil
	case "OAUTHBEARER":
		return oauth.Auth{Token: c.SASL.Token}.AsMechanism(), nil
	}
	return nil, fmt.Errorf("sasl.mechanism %q is not known: use PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER", c.SASL.Mechanism)
}

// advise says what to check after err, and whether waiting may mend it.
func (c *Connection) advise(err error) (advice string, waiting bool) {
	var (
		plainTLS *kgo.ErrFirstReadEOF
		record   tls.RecordHeaderError
		verify   *tls.CertificateVerificationError
		broken   *net.OpError
	)
	switch {
	case errors.Is(err, kerr.UnsupportedSaslMechanism):
		return fmt.Sprintf("the broker does not offer sasl.mechanism %s", c.SASL.Mechanism), false
	case isAuth(err):
		return fmt.Sprintf("the broker refused user %q with %s: check sasl.mechanism, sasl.username and sasl.password (or sasl.token)",
			c.SASL.Username, c.SASL.Mechanism), false
	case c.SASL.Mechanism == "OAUTHBEARER" && strings.Contains(err.Error(), "oauth"): // the client has no type for it
		return "the broker refused the token of sasl.token: it has expired, or is not for this broker", false
	case errors.As(err, &broken) && broken.Op == "remote error": // an alert of TLS
		return "the broker broke the TLS connection off: it may ask for a client's certificate, set tls.cert_file and tls.key_file, or not trust the one it got", false
	case strings.Contains(err.Error(), "invalid large response size"): // no type for it either
		return "what answers does not speak Kafka's protocol in the clear: if it is a TLS port, set tls.enabled; else check the address", false
	case errors.As(err, &verify):
		return "the broker's certificate does not verify: set tls.root_cas_file to the CA that signed it, and name the brokers as it does", false
	case errors.As(err, &record):
		return "the broker does not speak TLS on this port: use its TLS port, or leave tls.enabled out", false
	case errors.As(err, &plainTLS), errors.Is(err, io.EOF):
		if c.SASL.Mechanism != "" {
			return fmt.Sprintf("the broker hung up, as it may on wrong credentials: check sasl.mechanism %s, user %q and its password, and tls.enabled",
				c.SASL.Mechanism, c.SASL.Username), false
		}
		return "the broker hung up: it may want a sasl block, or this is (or is not) its TLS port: check tls.enabled", false
	}
	advice = "check the addresses (--brokers or kafka.seed_brokers), that the broker runs, and that the addresses it advertises can be reached from here"
	if c.TLS.Enabled {
		advice += "; and that they are its TLS ports, as tls.enabled is set"
	}
	return advice, true
}
