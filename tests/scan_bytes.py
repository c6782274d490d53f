"""Small scans that tests write byte by byte, without the code under test."""

import struct

CODES = {"char": "b", "uchar": "B", "short": "h", "ushort": "H", "int": "i", "uint": "I", "float": "f", "double": "d"}
ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">"}
SQUARE = ((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (1.0, 1.0, 0.0), (0.0, 1.0, 0.5))


def ply(encoding, elements, *, newline="\n", after_format=(), after_elements=()):
    """A PLY file. ``elements`` are (name, properties, rows); a property is ``"float x"`` or ``"list uchar int ids"``."""
    head = ["ply", f"format {encoding} 1.0", *after_format]
    for name, properties, rows in elements:
        head += [f"element {name} {len(rows)}", *(f"property {text}" for text in properties)]
    head += [*after_elements, "end_header"]
    body = b"".join(ply_row(encoding, properties, row, newline) for _, properties, rows in elements for row in rows)
    return "".join(line + newline for line in head).encode() + body


def ply_row(encoding, properties, row, newline="\n"):
    """One row of an element; the value of a list property is a sequence."""
    if encoding == "ascii":
        words = [str(word) for value in row for word in ([len(value), *value] if isinstance(value, (list, tuple)) else [value])]
        return (" ".join(words) + newline).encode()
    order, parts = ORDERS[encoding], []
    for text, value in zip(properties, row, strict=True):
        words = text.split()
        if words[0] == "list":
            parts.append(struct.pack(order + CODES[words[1]], len(value)))
            parts += [struct.pack(order + CODES[words[2]], one) for one in value]
        else:
            parts.append(struct.pack(order + CODES[words[0]], value))
    return b"".join(parts)


def pcd(
    kind, fields, rows, *, points=None, width=None, height=1, comments=("# .PCD v0.7",), viewpoint="0 0 0 1 0 0 0", body=None
):
    """A PCD file. ``fields`` are (name, size, type, count); a row is its values one after the other."""
    columns = list(zip(*fields, strict=True))
    head = [
        *comments,
        "VERSION 0.7",
        *(
            f"{key} {' '.join(map(str, column))}"
            for key, column in zip(("FIELDS", "SIZE", "TYPE", "COUNT"), columns, strict=True)
        ),
    ]
    head += [f"WIDTH {len(rows) if width is None else width}", f"HEIGHT {height}", f"VIEWPOINT {viewpoint}"]
    head += [f"POINTS {len(rows) if points is None else points}", f"DATA {kind}"]
    return "".join(line + "\n" for line in head).encode() + (pcd_body(kind, fields, rows) if body is None else body)


def pcd_body(kind, fields, rows):
    """The points as ``kind`` keeps them; compressed ones as literal runs alone."""
    codes = [
        {"F": {4: "f", 8: "d"}, "I": {1: "b", 2: "h", 4: "i"}, "U": {1: "B", 2: "H", 4: "I"}}[t][s]
        for _, s, t, n in fields
        for _ in range(n)
    ]
    if kind == "ascii":
        return b"".join((" ".join(str(value) for value in row) + "\n").encode() for row in rows)
    if kind == "binary":
        return b"".join(struct.pack("<" + "".join(codes), *row) for row in rows)
    ends = [sum(n for *_, n in fields[: i + 1]) for i in range(len(fields))]
    spans = [range(end - n, end) for end, (*_, n) in zip(ends, fields, strict=True)]
    unpacked = b"".join(struct.pack("<" + codes[i], row[i]) for span in spans for row in rows for i in span)
    packed = lzf_literals(unpacked)
    return struct.pack("<II", len(packed), len(unpacked)) + packed


def lzf_literals(unpacked):
    """Bytes as LZF that refers back to nothing."""
    runs = [unpacked[at : at + 32] for at in range(0, len(unpacked), 32)]
    return b"".join(bytes([len(run) - 1]) + run for run in runs)
