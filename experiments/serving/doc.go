// Package serving answers online reads of features: what a ranker asks for at time
// t is what training rows read as of t, from the same tiles. It stands beside
// stage 6: package tiling keeps the tiles, this reads them.
//
//	request → view (which features, in which order) → lookups → values → answer
//
// An answer may hold tiles that are not final yet: freshness says up to when they
// are. Some answers are kept and asked again when they are final; how many come
// out otherwise is the feature skew.
package serving
