package sqltest

import (
	"net"
	"testing"
)

func TestBothAnswer(t *testing.T) {
	for name, start := range map[string]func(testing.TB) string{"PostgreSQL": Postgres, "MariaDB": MariaDB} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", start(t))
			if err != nil {
				t.Fatal(err)
			}
			conn.Close()
		})
	}
}
