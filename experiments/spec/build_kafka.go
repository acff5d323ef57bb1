package spec

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"strconv"
)

const defaultFetchMaxBytes = 50 << 20

// kafka reads the connection settings and refuses those that contradict each
// other: what a broker would answer with "connection closed" is said here.
func (l *loader) kafka(n *node) Kafka {
	k := Kafka{StartOffset: "earliest", FetchMaxBytes: defaultFetchMaxBytes}
	if n == nil {
		return k
	}
	k.SeedBrokers = n.get("seed_brokers").strings()
	for _, b := range n.get("seed_brokers").texts() {
		l.hostPort(b, "seed_brokers")
	}
	if b := n.get("seed_brokers"); b != nil && b.kind == listNode && len(b.items) == 0 {
		l.fail(b.at, MissingKey, "seed_brokers is empty; name a broker as host:port, or leave it out")
	}
	k.RackID = n.get("rack_id").string("")
	k.InstanceID = n.get("instance_id").string("")
	k.ConsumerGroup = n.get("consumer_group").string("")
	k.StartOffset = n.get("start_offset").string(k.StartOffset)
	k.FetchMaxBytes = n.get("fetch_max_bytes").size(k.FetchMaxBytes)
	k.TLS = l.tls(n.get("tls"))
	k.SASL = l.sasl(n.get("sasl"))
	k.SchemaRegistry = l.registry(n.get("schema_registry"))
	l.registryFaulty = n.has("schema_registry") && len(k.SchemaRegistry.URLs) == 0
	if k.SASL.Mechanism == "PLAIN" && !k.TLS.Enabled {
		l.warn(n.get("sasl").get("mechanism").at, Insecure, "PLAIN without tls sends the password in clear text").Help = "add tls: {enabled: true}, or use SCRAM-SHA-512"
	}
	return k
}

// hostPort checks an address of the form host:port.
func (l *loader) hostPort(n *node, what string) {
	host, port, err := net.SplitHostPort(n.text)
	number, portErr := strconv.Atoi(port)
	if err != nil || host == "" || portErr != nil || number < 1 || number > 65535 {
		l.fail(n.at, BadValue, "%s takes addresses as host:port, not %s", what, n.quoted())
	}
}

func (l *loader) tls(n *node) TLS {
	if n == nil {
		return TLS{}
	}
	t := TLS{
		Enabled:        n.get("enabled").bool(false),
		RootCAsFile:    n.get("root_cas_file").string(""),
		CertFile:       n.get("cert_file").string(""),
		KeyFile:        n.get("key_file").string(""),
		SkipCertVerify: n.get("skip_cert_verify").bool(false),
	}
	known := !n.has("enabled") || n.get("enabled") != nil
	for _, name := range []string{"root_cas_file", "cert_file", "key_file", "skip_cert_verify"} {
		if e := n.find(name); e != nil && known && !t.Enabled && e.value.text != "false" {
			l.fail(e.at, Conflict, "tls has `%s`, but is not enabled", name).Help = "add enabled: true, or remove it"
			return t
		}
	}
	switch {
	case n.has("cert_file") && !n.has("key_file"):
		l.fail(n.find("cert_file").at, Conflict, "cert_file needs key_file, the key of that certificate")
	case n.has("key_file") && !n.has("cert_file"):
		l.fail(n.find("key_file").at, Conflict, "key_file needs cert_file, the certificate of that key")
	case t.SkipCertVerify && n.has("root_cas_file"):
		l.fail(n.find("skip_cert_verify").at, Conflict, "skip_cert_verify trusts any certificate, so root_cas_file would not be used").Help = "remove one of them"
	default:
		l.tlsFiles(n, t)
	}
	return t
}

// tlsFiles checks that the files can be used, where they are expected to exist.
func (l *loader) tlsFiles(n *node, t TLS) {
	if l.opts.NoEnvironment {
		return
	}
	if ca := n.get("root_cas_file"); ca != nil {
		if _, err := os.ReadFile(t.RootCAsFile); err != nil {
			l.fail(ca.at, BadFile, "root_cas_file cannot be read: %s", reason(err))
		}
	}
	if cert := n.get("cert_file"); cert != nil && n.get("key_file") != nil {
		if _, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile); err != nil {
			l.fail(cert.at, BadFile, "cert_file and key_file cannot be used: %s", reason(err))
		}
	}
}

// reason is an error without the path, which the reader sees in the file.
func reason(err error) string {
	if fault, ok := errors.AsType[*os.PathError](err); ok {
		return fault.Err.Error()
	}
	return err.Error()
}

func (l *loader) sasl(n *node) SASL {
	if n == nil {
		return SASL{}
	}
	s := SASL{
		Mechanism: n.get("mechanism").string(""),
		Username:  n.get("username").string(""),
		Password:  n.get("password").string(""),
		Token:     n.get("token").string(""),
	}
	need, refuse := []string{"username", "password"}, []string{"token"}
	if s.Mechanism == "OAUTHBEARER" {
		need, refuse = refuse, need
	}
	if s.Mechanism == "" {
		return s
	}
	for _, name := range need {
		if !n.has(name) {
			l.fail(n.find("mechanism").at, Conflict, "sasl with %s needs `%s`", s.Mechanism, name)
		}
	}
	for _, name := range refuse {
		if e := n.find(name); e != nil {
			l.fail(e.at, Conflict, "sasl with %s does not use `%s`", s.Mechanism, name).Help = "remove it, or change the mechanism"
		}
	}
	return s
}
