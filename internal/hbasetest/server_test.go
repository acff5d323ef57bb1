package hbasetest

import (
	"net"
	"testing"
)

func TestAnswers(t *testing.T) {
	conn, err := net.Dial("tcp", Shared(t).ZK)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}
