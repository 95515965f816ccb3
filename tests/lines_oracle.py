#!/usr/bin/env python3
"""What chosen operations on lines give, read off docs/format.md and nothing else.

One JSON object a line on standard input:
  {"base": base64, "proposed": base64, "first": number, "ops": [...], "chosen": [numbers]}
and for each one line on standard output: the resulting bytes in base64.

It is slow and simple on purpose: every base line is a slot with a list of lines that go in before it.
"""

import base64
import json
import sys


def split(data):
    """Lines with their terminator; the last one may have none."""
    lines = data.split(b"\n")
    last = lines.pop()
    return [line + b"\n" for line in lines] + ([last] if last else [])


def result(base, proposed, first, ops, chosen):
    terminator = b"\r\n" if base and base[0].endswith(b"\r\n") else b"\n"
    here = [[line] for line in base] + [[]]
    before = [[] for _ in range(len(base) + 1)]
    number = first
    for op in ops:
        kind = op[0]
        if kind == ">":
            at, count, to, source = op[1:]
            if number in chosen:
                for index in range(count):
                    before[to - 1].append((source + index, base[at - 1 + index]))
                    here[at - 1 + index] = []
            number += 1
        elif kind in "+-~":
            count = op[-1]
            for index in range(count):
                if number in chosen:
                    if kind == "+":
                        before[op[1] - 1].append((op[2] + index, proposed[op[2] + index - 1]))
                    elif kind == "-":
                        here[op[1] + index - 1] = []
                    else:
                        here[op[1] + index - 1] = [proposed[op[2] + index - 1]]
                number += 1
        else:
            number += 1
    lines = []
    for slot, line in zip(before, here):
        lines += [text for _, text in sorted(slot)] + line
    for index, line in enumerate(lines[:-1]):
        if not line.endswith(b"\n"):
            lines[index] = line + terminator
    return b"".join(lines)


def main():
    for text in sys.stdin:
        case = json.loads(text)
        base, proposed = (split(base64.b64decode(case[name])) for name in ("base", "proposed"))
        data = result(base, proposed, case["first"], case["ops"], set(case["chosen"]))
        print(base64.b64encode(data).decode())


main()
