package recorded

// Layout is how the values of members make up an object: what is written before
// each of them, and behind the last. Fields that lie within objects get them.
type Layout struct {
	Leads [][]byte // by member
	Tail  []byte
}

// arrange puts members that lie within one object side by side, for an object is
// written once; otherwise their order stays.
func arrange(members []Member, depth int) (all []Member) {
	var names []string
	under := map[string][]Member{}
	for _, m := range members {
		name := m.Path[depth]
		if under[name] == nil {
			names = append(names, name)
		}
		under[name] = append(under[name], m)
	}
	for _, name := range names {
		var deeper []Member
		for _, m := range under[name] {
			if len(m.Path) == depth+1 {
				all = append(all, m)
			} else {
				deeper = append(deeper, m)
			}
		}
		if deeper != nil {
			all = append(all, arrange(deeper, depth+1)...)
		}
	}
	return all
}

// newLayout lays members out, which are arranged. extra is further members, as JSON.
func newLayout(members []Member, extra []byte) (l Layout) {
	var open []string // the objects that the last value lies in
	for i := range members {
		path := members[i].Path
		inner := len(path) - 1
		same := 0
		for same < len(open) && same < inner && open[same] == path[same] {
			same++
		}
		var lead []byte
		for range len(open) - same {
			lead = append(lead, '}')
		}
		if i == 0 {
			lead = append(lead, '{')
		} else {
			lead = append(lead, ',')
		}
		for _, name := range path[same:inner] {
			lead = append(append(AppendString(lead, []byte(name)), ':'), '{')
		}
		open = path[:inner]
		l.Leads = append(l.Leads, append(lead, members[i].name...))
	}
	for range open {
		l.Tail = append(l.Tail, '}')
	}
	switch {
	case len(members) == 0:
		l.Tail = append(append(l.Tail, '{'), extra...)
	case len(extra) > 0:
		l.Tail = append(append(l.Tail, ','), extra...)
	}
	l.Tail = append(l.Tail, '}')
	return l
}
