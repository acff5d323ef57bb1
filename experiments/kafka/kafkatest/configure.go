package kafkatest

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"os"
	"strings"
)

// properties configure a broker of small topics, one replica, groups that do not
// wait for more members before they begin, and a controller that soon lets a
// killed broker come back. ADDR, DIR and the like are
// filled in.
const properties = `
process.roles=broker,controller
node.id=1
log.dirs=DIR/log
listeners=PLAIN://PLAIN_ADDR,SASL://SASL_ADDR,TLS://TLS_ADDR,MTLS://MTLS_ADDR,CONTROLLER://CONTROLLER_ADDR
controller.quorum.voters=1@CONTROLLER_ADDR
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAIN
listener.security.protocol.map=PLAIN:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL,MTLS:SSL,CONTROLLER:PLAINTEXT

sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER
listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_USER="PASSWORD";
listener.name.sasl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";
ssl.keystore.type=PEM
ssl.keystore.location=DIR/server.pem
ssl.truststore.type=PEM
ssl.truststore.location=DIR/ca.pem
listener.name.mtls.ssl.client.auth=required

auto.create.topics.enable=false
num.partitions=PARTITIONS
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=100
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
`

// configure writes server.properties.
func (s *Server) configure() error {
	addrs, err := freeAddrs(5)
	if err != nil {
		return err
	}
	s.Plain, s.SASL, s.TLS, s.MutualTLS = addrs[0], addrs[1], addrs[2], addrs[3]
	text := strings.NewReplacer("PLAIN_ADDR", s.Plain, "SASL_ADDR", s.SASL, "MTLS_ADDR", s.MutualTLS, "TLS_ADDR", s.TLS, "CONTROLLER_ADDR", addrs[4],
		"DIR", s.dir, "PARTITIONS", fmt.Sprint(DefaultPartitions), "USER", User, "PASSWORD", Password).Replace(properties)
	return os.WriteFile(s.path("server.properties"), []byte(text), 0o600)
}

// freeAddrs finds loopback ports below those that systems give to outgoing
// connections, so that a killed broker finds its own free when it comes back.
func freeAddrs(n int) ([]string, error) {
	var addrs []string
	var held []net.Listener
	defer func() {
		for _, ln := range held {
			_ = ln.Close() // nothing was sent
		}
	}()
	for range 1000 {
		addr := fmt.Sprintf("127.0.0.1:%d", 15000+mathrand.IntN(15000))
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		held = append(held, ln) // until all are found, so that they differ
		if addrs = append(addrs, addr); len(addrs) == n {
			return addrs, nil
		}
	}
	return nil, errors.New("no free ports between 15000 and 30000 on 127.0.0.1")
}

// clusterID is 16 random bytes, as Kafka writes them.
func clusterID() string {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	id[0] &= 0x7f        // no leading '-', which the command line takes for a flag
	return base64.RawURLEncoding.EncodeToString(id)
}
