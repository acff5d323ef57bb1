//go:build !unix

package broker

import (
	"errors"
	"os"
)

// tryLock refuses: without a lock that the system drops by itself, a killed
// process would leave its directory locked, or two would write one log.
func tryLock(*os.File) (bool, error) {
	return false, errors.New("the embedded broker needs a Unix system (file locks): use --brokers with a Kafka cluster")
}
