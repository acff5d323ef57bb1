package compare

// Class says why rows differ, as far as the rows themselves tell.
type Class string

// The classes, in the order in which they are tried.
const (
	ClassDuplicate   Class = "duplicate"   // one side has the instance more than once
	ClassLate        Class = "late"        // a row of an impression that came after its deadline
	ClassProvisional Class = "provisional" // a row before the last word: final is false, or another revision
	ClassDegraded    Class = "degraded"    // a dimension was not served as asked
	ClassSampling    Class = "sampling"    // negatives are sampled at another rate
	ClassRange       Class = "range"       // beyond the event times that the other side has
	ClassLabel       Class = "label"       // a label that one side has seen and the other has not
	ClassVersion     Class = "version"     // written by another version or configuration of the experiment
	ClassUnexplained Class = "unexplained" // nothing in the rows says why
)

// Classes lists all classes in order.
func Classes() []Class {
	return []Class{ClassDuplicate, ClassLate, ClassProvisional, ClassDegraded, ClassSampling, ClassRange, ClassLabel, ClassVersion, ClassUnexplained}
}

// Explain says in a few words what a class means.
func (c Class) Explain() string {
	switch c {
	case ClassDuplicate:
		return "one side has the row more than once"
	case ClassLate:
		return "the impression came after its deadline"
	case ClassProvisional:
		return "a row before the last word: final is false, or another revision"
	case ClassDegraded:
		return "a dimension was not served as asked"
	case ClassSampling:
		return "the sides sample negatives at different rates"
	case ClassRange:
		return "its event time lies beyond what the other side has"
	case ClassLabel:
		return "one side has seen a label that the other has not: it came late, or was not in the input"
	case ClassVersion:
		return "the experiment's version or configuration differs"
	}
	return "nothing in the rows says why"
}

// classifyChanged says why two rows of one instance differ.
func (w *walk) classifyChanged(a, b []byte, d *difference) Class {
	x, y := &d.flags[0], &d.flags[1]
	va, vb := w.versionOf(0, a), w.versionOf(1, b)
	switch {
	case x.late || y.late:
		return ClassLate
	case x.provisional || y.provisional:
		return ClassProvisional
	case x.isDegraded() || y.isDegraded():
		return ClassDegraded
	case d.onlyWeight:
		return ClassSampling
	case d.onlyLabels && d.labelOnOneSide:
		return ClassLabel
	case va != vb && va != "" && vb != "":
		return ClassVersion
	}
	return ClassUnexplained
}

// classifyOneSided says why the other side has no such row.
func (w *walk) classifyOneSided(side int, rec []byte, f *flags, revision, timeMS int64) Class {
	other := &w.c.sides[1-side].summary
	mine, theirs := &w.found.sides[side], &w.found.sides[1-side]
	version := w.versionOf(side, rec)
	switch {
	case mine.isRepeated(revision, timeMS):
		return ClassDuplicate
	case f.late:
		return ClassLate
	case f.provisional || len(theirs.keys) > 0 && !theirs.hasRevision(revision):
		return ClassProvisional
	case f.isDegraded():
		return ClassDegraded
	case !f.positive && f.weight > 0 && f.weight < other.MaxWeight:
		return ClassSampling
	case other.Rows > 0 && (timeMS < other.FirstMS || timeMS > other.LastMS):
		return ClassRange
	case version != "" && len(other.Versions) > 0 && other.Versions[version] == 0:
		return ClassVersion
	}
	return ClassUnexplained
}

func (w *walk) versionOf(side int, rec []byte) string {
	return w.c.sides[side].layouts[layoutAt(rec)].layout.Version
}
