package simulation

import (
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// Disk is a file system in memory that knows what was synced, so that it can
// lose what was not. One process at a time uses it, by way of Mount.
type Disk struct {
	// OnWrite, where set, is told before every change, counted from 1, and says
	// what becomes of it. It may kill the process. It draws from the disk's own
	// chance, for the order of different disks' changes is not the schedule's.
	OnWrite func(n int, path string) Verdict

	mu     sync.Mutex
	rand   *rand.Rand
	root   *inode
	locked map[string]bool
	doomed []string // removed in the background: gone once the process ends in peace
	writes int
}

// Verdict is what becomes of a change to a disk.
type Verdict struct {
	Err  error // it fails
	Kill Loss  // the process dies, the change half done
}

// Loss is what the end of a process costs its disk.
type Loss uint8

const (
	NoLoss      Loss = iota // it does not end
	LoseMemory              // kill -9: the disk has all that was written
	LosePower               // what was not synced is there or not, sector by sector and name by name
	LoseSectors             // as LosePower, and a bit of what was synced has flipped
	LoseDisk                // the disk is gone and a new one in its place
)

func (l Loss) String() string {
	return [...]string{"no loss", "kill -9", "loss of power", "damage", "loss of its disk"}[l]
}

// inode is a file or a directory, as written and as synced.
type inode struct {
	isDir        bool
	kids, synced map[string]*inode
	gone         map[string]bool // names removed since the last sync: they may come back
	data, stable []byte
}

func newDir() *inode {
	return &inode{isDir: true, kids: map[string]*inode{}, synced: map[string]*inode{}, gone: map[string]bool{}}
}

// NewDisk makes an empty disk; what it loses is drawn from seed.
func NewDisk(seed uint64) *Disk {
	return &Disk{rand: rand.New(rand.NewPCG(seed, 0xd15c)), root: newDir(), locked: map[string]bool{}}
}

// Crash returns the disk as it is after a loss. This one is not the process's any more.
func (d *Disk) Crash(loss Loss) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.crash(loss)
}

func (d *Disk) crash(loss Loss) *Disk {
	next := &Disk{OnWrite: d.OnWrite, rand: rand.New(rand.NewPCG(d.rand.Uint64(), d.rand.Uint64())), locked: map[string]bool{}, writes: d.writes}
	switch loss {
	case LoseDisk:
		next.root = newDir()
	case LoseMemory, NoLoss:
		next.root = d.root.survive(d.rand, 100)
	default:
		next.root = d.root.survive(d.rand, []int{0, 50, 90, 100}[d.rand.IntN(4)])
	}
	if loss == LoseSectors {
		next.flipBit()
	}
	return next
}

const sectorBytes = 512

// survive returns the part of what was not synced that a loss of power leaves,
// percent of its sectors and names. A process's end leaves 100: it is written
// but still not synced.
func (n *inode) survive(r *rand.Rand, percent int) *inode {
	if !n.isDir {
		return n.surviveFile(r, percent)
	}
	out := newDir()
	for _, name := range slices.Sorted(maps.Keys(n.kids)) {
		if kid := n.kids[name]; n.synced[name] == kid || r.IntN(100) < percent {
			out.kids[name] = kid
		}
	}
	for _, name := range slices.Sorted(maps.Keys(n.synced)) {
		if out.kids[name] == nil && !(n.gone[name] && r.IntN(100) < percent) {
			out.kids[name] = n.synced[name]
		}
	}
	for _, name := range slices.Sorted(maps.Keys(out.kids)) {
		out.kids[name] = out.kids[name].survive(r, percent)
	}
	if percent < 100 {
		out.synced = maps.Clone(out.kids)
		return out
	}
	for name, kid := range out.kids {
		if n.kids[name] != nil && n.synced[name] == n.kids[name] {
			out.synced[name] = kid
		}
	}
	for name := range n.synced {
		if n.kids[name] == nil { // its removal is not synced
			out.gone[name], out.synced[name] = true, n.synced[name].survive(r, 100)
		}
	}
	return out
}

func (n *inode) surviveFile(r *rand.Rand, percent int) *inode {
	if percent == 100 {
		return &inode{data: slices.Clone(n.data), stable: slices.Clone(n.stable)}
	}
	out := slices.Clone(n.stable)
	for at := 0; at < len(n.data); at += sectorBytes {
		if r.IntN(100) >= percent {
			continue
		}
		sector := n.data[at:min(at+sectorBytes, len(n.data))]
		if grow := at + len(sector) - len(out); grow > 0 {
			out = append(out, make([]byte, grow)...) // zeros where sectors before it are lost
		}
		copy(out[at:], sector)
	}
	return &inode{data: out, stable: slices.Clone(out)}
}

// flipBit flips one bit of one file, not of the one that names the format.
func (d *Disk) flipBit() {
	var files []*inode
	var collect func(n *inode)
	collect = func(n *inode) {
		for _, name := range slices.Sorted(maps.Keys(n.kids)) {
			switch kid := n.kids[name]; {
			case kid.isDir:
				collect(kid)
			case len(kid.data) > 0 && name != "FORMAT":
				files = append(files, kid)
			}
		}
	}
	collect(d.root)
	if len(files) == 0 {
		return
	}
	f := files[d.rand.IntN(len(files))]
	at := d.rand.IntN(len(f.data))
	f.data[at] ^= 1 << d.rand.IntN(8)
	f.stable = slices.Clone(f.data)
}

// unmounted says that the process has ended by itself: what it removed in the
// background is gone, and it holds no locks.
func (d *Disk) unmounted() {
	d.mu.Lock()
	defer d.mu.Unlock()
	slices.Sort(d.doomed)
	for _, path := range d.doomed {
		if dir, name, err := d.parent(path); err == nil {
			d.unlink(dir, name)
		}
	}
	d.doomed = nil
	clear(d.locked)
}

// Bytes returns how much lies on the disk.
func (d *Disk) Bytes() (total int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.root.bytes()
}

func (n *inode) bytes() (total int) {
	for _, kid := range n.kids {
		total += kid.bytes()
	}
	return total + len(n.data)
}

func notThere(path string) error { return &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist} }

// lookup finds what a path names.
func (d *Disk) lookup(path string) (*inode, error) {
	at := d.root
	for name := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if name == "" || name == "." {
			continue
		}
		if at = at.kids[name]; at == nil {
			return nil, notThere(path)
		}
	}
	return at, nil
}

// parent finds the directory that a path lies in.
func (d *Disk) parent(path string) (dir *inode, name string, err error) {
	path = strings.TrimRight(path, "/")
	i := strings.LastIndexByte(path, '/')
	dir, err = d.lookup(path[:max(i, 0)])
	if err == nil && !dir.isDir {
		err = &fs.PathError{Op: "open", Path: path, Err: syscall.ENOTDIR}
	}
	if err != nil {
		return nil, "", err
	}
	return dir, path[i+1:], nil
}

func (d *Disk) unlink(dir *inode, name string) {
	delete(dir.kids, name)
	if dir.synced[name] != nil {
		dir.gone[name] = true
	}
}

// String lists the files, for traces.
func (d *Disk) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var b strings.Builder
	var list func(path string, n *inode)
	list = func(path string, n *inode) {
		for _, name := range slices.Sorted(maps.Keys(n.kids)) {
			if kid := n.kids[name]; kid.isDir {
				list(path+"/"+name, kid)
			} else {
				fmt.Fprintf(&b, "%8d %s/%s\n", len(kid.data), path, name)
			}
		}
	}
	list("", d.root)
	return b.String()
}

// Writes returns how many changes were made so far: OnWrite's count.
func (d *Disk) Writes() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.writes
}
