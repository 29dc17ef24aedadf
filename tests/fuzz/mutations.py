"""What happens to a file on its way: bytes are changed, lost, doubled, cut off, added."""

from hypothesis import strategies as st

PLACE = st.integers(0, 2**20)
CHANGE = st.one_of(
    st.tuples(st.just("change"), PLACE, st.binary(min_size=1, max_size=4)),
    st.tuples(st.just("insert"), PLACE, st.binary(min_size=1, max_size=16)),
    st.tuples(st.just("remove"), PLACE, st.integers(1, 64)),
    st.tuples(st.just("double"), PLACE, st.integers(1, 64)),
    st.tuples(st.just("cut"), PLACE, st.none()),
)
CHANGES = st.lists(CHANGE, max_size=4)


def mutated(content: bytes, changes: list[tuple]) -> bytes:
    """Return the bytes after changes, each at a place in what is left."""
    for kind, place, what in changes:
        at = place % (len(content) + 1)
        if kind == "change":
            content = content[:at] + what + content[at + len(what) :]
        elif kind == "insert":
            content = content[:at] + what + content[at:]
        elif kind == "remove":
            content = content[:at] + content[at + what :]
        elif kind == "double":
            content = content[: at + what] + content[at:]
        else:
            content = content[:at]
    return content
