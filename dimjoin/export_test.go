package dimjoin

// UnderWay is how many keys and slots a reader's calls hold.
func (r *Reader) UnderWay() (keys, slots int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.asked), len(r.slots)
}
