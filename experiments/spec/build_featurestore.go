package spec

// FeatureStore is where features' tiles are kept. Without addresses each worker
// keeps its own.
type FeatureStore struct {
	Addrs              []string // of Redis
	Username, Password string
	DB                 int
	Prefix             string
	TLS                TLS
}

// IsShared reports whether workers share the store.
func (f *FeatureStore) IsShared() bool { return len(f.Addrs) > 0 }

// featureStore settles where tiles are kept.
func (l *loader) featureStore(n *node) (f FeatureStore) {
	r := n.get("redis")
	if r == nil {
		return f
	}
	f.Addrs = r.get("addrs").strings()
	for _, a := range r.get("addrs").texts() {
		l.hostPort(a, "addrs")
	}
	f.Username, f.Password = r.get("username").string(""), r.get("password").string("")
	f.DB, f.Prefix, f.TLS = int(r.get("db").int(0)), r.get("prefix").string("mortise"), l.tls(r.get("tls"))
	if len(f.Addrs) > 1 && f.DB != 0 {
		l.fail(r.get("db").at, Conflict, "a Redis cluster has one database, 0").Help = "remove it"
	}
	if len(l.exp.Features) == 0 {
		l.warn(n.at, Unused, "there are no features to keep in this store")
	}
	return f
}
