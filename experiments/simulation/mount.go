package simulation

import (
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Mount returns the disk as a process sees it.
func (p *Process) Mount() vfs.FS { return &mount{p.Disk, p} }

type mount struct {
	disk    *Disk
	process *Process
}

// change is called, with the disk locked, before every change: it may fail, or
// be the last thing the process does, half done by half.
func (m *mount) change(op, name string, half func()) error {
	d := m.disk
	if m.process.Dead() {
		return nil
	}
	if d.writes++; d.OnWrite == nil {
		return nil
	}
	v := d.OnWrite(d.writes, name)
	if v.Kill != NoLoss {
		if half != nil && d.rand.IntN(2) == 0 {
			half()
		}
		if m.process.die() {
			m.process.schedule.Tracef("%s is killed (%v) by its write %d, %s %s", m.process.Name, v.Kill, d.writes, op, name)
			m.process.Disk = d.crash(v.Kill)
		}
		return nil
	}
	if v.Err != nil {
		if half != nil && d.rand.IntN(2) == 0 {
			half()
		}
		m.process.schedule.Tracef("%s: %s %s fails: %v", m.process.Name, op, name, v.Err)
		return &fs.PathError{Op: op, Path: name, Err: v.Err}
	}
	return nil
}

// isBackground reports whether a removal is one that Pebble makes on a goroutine
// of its own, when it gets to it. Such a file is left until the process ends, as
// if a crash had come first: what a crash leaves must not depend on the machine.
func isBackground(name string) bool { return strings.Contains(name, "/manifest/") }

// Create implements vfs.FS.
func (m *mount) Create(name string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	if err := m.change("create", name, nil); err != nil {
		return nil, err
	}
	dir, base, err := m.disk.parent(name)
	if err != nil {
		return nil, err
	}
	n := &inode{}
	dir.kids[base] = n
	return &file{mount: m, name: name, node: n, writable: true}, nil
}

// Link implements vfs.FS.
func (m *mount) Link(oldname, newname string) error {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	if err := m.change("link", newname, nil); err != nil {
		return err
	}
	n, err := m.disk.lookup(oldname)
	if err != nil {
		return err
	}
	dir, base, err := m.disk.parent(newname)
	if err != nil {
		return err
	}
	if dir.kids[base] != nil {
		return &fs.PathError{Op: "link", Path: newname, Err: fs.ErrExist}
	}
	dir.kids[base] = n
	return nil
}

// Open implements vfs.FS.
func (m *mount) Open(name string, _ ...vfs.OpenOption) (vfs.File, error) {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	n, err := m.disk.lookup(name)
	if err != nil {
		return nil, err
	}
	return &file{mount: m, name: name, node: n}, nil
}

// OpenReadWrite implements vfs.FS.
func (m *mount) OpenReadWrite(name string, category vfs.DiskWriteCategory, _ ...vfs.OpenOption) (vfs.File, error) {
	m.disk.mu.Lock()
	n, err := m.disk.lookup(name)
	m.disk.mu.Unlock()
	if err != nil {
		return m.Create(name, category)
	}
	return &file{mount: m, name: name, node: n, writable: true}, nil
}

// OpenDir implements vfs.FS.
func (m *mount) OpenDir(name string) (vfs.File, error) { return m.Open(name) }

// Remove implements vfs.FS.
func (m *mount) Remove(name string) error {
	d := m.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if isBackground(name) {
		d.doomed = append(d.doomed, name)
		return nil
	}
	if err := m.change("remove", name, nil); err != nil {
		return err
	}
	dir, base, err := d.parent(name)
	if err != nil {
		return err
	}
	n := dir.kids[base]
	switch {
	case n == nil:
		return notThere(name)
	case len(n.kids) > 0:
		return &fs.PathError{Op: "remove", Path: name, Err: syscall.ENOTEMPTY}
	}
	d.unlink(dir, base)
	return nil
}

// RemoveAll implements vfs.FS.
func (m *mount) RemoveAll(name string) error {
	d := m.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	dir, base, err := d.parent(name)
	if err != nil || dir.kids[base] == nil {
		return nil // as os.RemoveAll: what is not there is removed
	}
	n := dir.kids[base]
	half := func() { // some of what is in it
		for kid := range n.kids {
			if d.rand.IntN(2) == 0 {
				d.unlink(n, kid)
			}
		}
	}
	if len(n.kids) > 1 {
		half = nil // which of them would depend on the order of a map
	}
	if err := m.change("remove all of", name, half); err != nil {
		return err
	}
	d.unlink(dir, base)
	return nil
}

// Rename implements vfs.FS.
func (m *mount) Rename(oldname, newname string) error {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	if err := m.change("rename", newname, nil); err != nil {
		return err
	}
	return m.rename(oldname, newname)
}

func (m *mount) rename(oldname, newname string) error {
	from, oldbase, err := m.disk.parent(oldname)
	if err != nil {
		return err
	}
	to, newbase, err := m.disk.parent(newname)
	if err != nil {
		return err
	}
	n := from.kids[oldbase]
	if n == nil {
		return notThere(oldname)
	}
	delete(from.kids, oldbase) // not gone by itself: until the directory is synced one of the names is there
	to.kids[newbase] = n
	return nil
}

// ReuseForWrite implements vfs.FS.
func (m *mount) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := m.Rename(oldname, newname); err != nil {
		return nil, err
	}
	return m.OpenReadWrite(newname, category)
}

// MkdirAll implements vfs.FS.
func (m *mount) MkdirAll(name string, _ fs.FileMode) error {
	d := m.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.lookup(name); err == nil {
		return nil
	}
	if err := m.change("mkdir", name, nil); err != nil {
		return err
	}
	at := d.root
	for base := range strings.SplitSeq(strings.Trim(name, "/"), "/") {
		if at.kids[base] == nil {
			at.kids[base] = newDir()
		}
		if at = at.kids[base]; !at.isDir {
			return &fs.PathError{Op: "mkdir", Path: name, Err: syscall.ENOTDIR}
		}
	}
	return nil
}

// Lock implements vfs.FS.
func (m *mount) Lock(name string) (io.Closer, error) {
	f, err := m.OpenReadWrite(name, "")
	if err != nil {
		return nil, err
	}
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	if m.disk.locked[name] {
		return nil, fmt.Errorf("%s is locked", name)
	}
	m.disk.locked[name] = true
	return &lock{f, m.disk, name}, nil
}

type lock struct {
	vfs.File
	disk *Disk
	name string
}

func (l *lock) Close() error {
	l.disk.mu.Lock()
	defer l.disk.mu.Unlock()
	delete(l.disk.locked, l.name)
	return nil
}

// List implements vfs.FS.
func (m *mount) List(name string) (names []string, err error) {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	n, err := m.disk.lookup(name)
	if err != nil {
		return nil, err
	}
	for kid := range n.kids {
		names = append(names, kid)
	}
	slices.Sort(names)
	return names, nil
}

// Stat implements vfs.FS.
func (m *mount) Stat(name string) (vfs.FileInfo, error) {
	f, err := m.Open(name)
	if err != nil {
		return nil, err
	}
	return f.Stat()
}

// PathBase implements vfs.FS.
func (*mount) PathBase(name string) string { return path.Base(name) }

// PathJoin implements vfs.FS.
func (*mount) PathJoin(elem ...string) string { return path.Join(elem...) }

// PathDir implements vfs.FS.
func (*mount) PathDir(name string) string { return path.Dir(name) }

// GetDiskUsage implements vfs.FS.
func (*mount) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: 1 << 40, TotalBytes: 1 << 40}, nil
}

// Unwrap implements vfs.FS.
func (*mount) Unwrap() vfs.FS { return nil }
