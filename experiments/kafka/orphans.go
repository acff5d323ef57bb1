package kafka

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// A worker that was killed leaves a transaction open. Until it is ended, by the
// brokers after the transaction timeout, nobody learns the group's offsets that
// are part of it, and read_committed readers stop at its first record. Whoever
// gets its tasks ends it: taking its transactional id over aborts what it has
// open, and refuses what it may do later, should it only have been asleep.

// endOrphans ends the open transactions of the group's workers that are not
// members any more. A broker that can't tell, or does not let this user ask, is
// left to its transaction timeout.
func (t *Transport) endOrphans(ctx context.Context) error {
	if !t.opts.ExactlyOnce {
		return nil
	}
	// First the transactions, then the members: who began one was a member before.
	prefix := t.opts.Group + "."
	listed, err := t.admin.adm.ListTransactionsByTxPattern(ctx, nil, []string{"Ongoing", "CompleteCommit", "CompleteAbort"}, "^"+regexp.QuoteMeta(prefix)+".*")
	var others []kadm.ListedTransaction
	for id, l := range listed { // an old broker lists them all
		if name, ok := strings.CutPrefix(id, prefix); ok && !strings.Contains(name, ".") && id != t.opts.transactionalID() {
			others = append(others, l)
		}
	}
	if err != nil || len(others) == 0 {
		return passing(err)
	}
	group, err := t.admin.adm.DescribeGroups(ctx, t.opts.Group)
	if err != nil {
		return passing(err)
	}
	alive := map[string]bool{}
	for _, m := range group[t.opts.Group].Members {
		alive[m.ClientID] = true
	}
	if !alive[t.opts.transactionalID()] {
		return nil // the group is changing: this member itself is not in it yet
	}
	for _, l := range others {
		if alive[l.TxnID] {
			continue
		}
		err := t.settle(ctx, l.TxnID)
		if err == nil && l.State == "Ongoing" {
			err = t.fence(ctx, l.TxnID)
		}
		if err := passing(err); err != nil {
			return err
		}
	}
	return nil
}

// passing keeps the errors that are worth another try.
func passing(err error) error {
	if isAuth(err) || err != nil && !isAway(err) {
		return nil
	}
	return err
}

// fence takes a transactional id over, which aborts what is open under it.
func (t *Transport) fence(ctx context.Context, id string) error {
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID, req.TransactionTimeoutMillis = &id, int32(t.opts.TransactionTimeout.Milliseconds())
	var resp *kmsg.InitProducerIDResponse
	err := retryConcurrent(ctx, func() (err error) {
		if resp, err = req.RequestWith(ctx, t.admin.client); err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		return err
	})
	if err == nil {
		err = t.settleAborted(ctx, id, resp.ProducerID, resp.ProducerEpoch)
	}
	if err != nil {
		return fmt.Errorf("ending the transaction that %s left open: %w", id, err)
	}
	return nil
}

// transactionsV2 reports whether the brokers' transactions are of version 2
// (KIP-890), in which each has an epoch of its own and what is written begins
// them by itself.
func (a *Admin) transactionsV2(ctx context.Context) (bool, error) {
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "mortise", "1"
	resp, err := req.RequestWith(ctx, a.client)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		return false, fmt.Errorf("asking which transactions the brokers know: %w", err)
	}
	for _, f := range resp.FinalizedFeatures {
		if f.Name == "transaction.version" {
			return f.MaxVersionLevel >= 2, nil
		}
	}
	return false, nil
}

// beforeTransactionsV2 keeps requests to versions with which each partition is
// added to a transaction explicitly.
func beforeTransactionsV2() *kversion.Versions {
	v := kversion.Stable()
	v.SetMaxKeyVersion(int16(kmsg.TxnOffsetCommit), 4)
	return v
}
