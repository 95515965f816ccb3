#!/usr/bin/env python3
"""Counts what a Claude Code transcript holds, independently of the program: count_transcript.py FILE."""

import json
import sys

LOCAL = (
    "<local-command-", "<bash-input>", "<bash-stdout>", "<bash-stderr>", "<user-memory-input>",
    "<task-notification>", "<teammate-message", "Caveat: The messages below", "This session is being continued",
    "Stop hook feedback:", "[Request interrupted by user", "<system-reminder>", "<ide_", "[Image: ",
)
HUMAN = (
    "The user doesn't want to proceed with this tool use", "The user doesn't want to take this action right now",
)


def lines(path):
    """Yields (side chain?, message line) for every line and every wrapped line, each id once."""
    seen = set()
    with open(path, "rb") as file:
        for raw in file.read().split(b"\n"):
            try:
                line = json.loads(raw)
            except ValueError:
                continue
            if not isinstance(line, dict):
                continue
            data = line.get("data")
            side = line.get("isSidechain") is True
            if line.get("type") == "progress" and isinstance(data, dict) and data.get("type") == "agent_progress":
                line, side = data.get("message"), True
                if not isinstance(line, dict):
                    continue
            uuid = line.get("uuid")
            if isinstance(uuid, str):
                if uuid in seen:
                    continue
                seen.add(uuid)
            if line.get("type") in ("user", "assistant") and isinstance(line.get("message"), dict):
                yield side, line


def blocks(line):
    content = line["message"].get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def text_of(content):
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def main(path):
    calls, results, usage, prompts = set(), {}, {}, 0
    command = False
    for side, line in lines(path):
        message, parts = line["message"], blocks(line)
        if line["type"] == "assistant":
            real = message.get("model") not in (None, "", "<synthetic>")
            if command and real and not side:
                prompts, command = prompts + 1, False
            calls |= {p["id"] for p in parts if p.get("type") == "tool_use" and p.get("id")}
            counted = message.get("usage")
            if real and message.get("id") and isinstance(counted, dict):
                key = (message["id"], line.get("requestId"))
                if key not in usage or counted["output_tokens"] > usage[key]["output_tokens"]:
                    usage[key] = counted
            continue
        for part in parts:
            if part.get("type") == "tool_result":
                results.setdefault(part.get("tool_use_id"), (part, line.get("toolUseResult")))
        if side:
            continue
        words = [p["text"].strip() for p in parts if p.get("type") == "text" and p["text"].strip()]
        words += ["image" for p in parts if p.get("type") == "image"]
        hidden = line.get("isCompactSummary") or line.get("isVisibleInTranscriptOnly")
        first = next((w for w in words if not w.startswith(LOCAL)), None) if not hidden else None
        if line.get("isMeta"):
            if first is not None and command:
                prompts += 1
            command = False
        elif any(p.get("type") == "tool_result" for p in parts) or first is None:
            command = False
        elif first.startswith(("<command-name>", "<command-message>")):
            command = True
        else:
            prompts, command = prompts + 1, False

    rejections = failures = interrupted = 0
    for call in calls & set(results):
        part, detail = results[call]
        text = text_of(part.get("content")).lstrip()
        if part.get("is_error") is not True:
            interrupted += isinstance(detail, dict) and detail.get("interrupted") is True
        elif text.startswith(HUMAN):
            rejections += 1
        elif any("[Request interrupted by user" in line for line in text.split("\n")[:2]):
            interrupted += 1
        elif not text.startswith(("Permission to use ", "Claude requested permissions", "PreToolUse:", "Hook PreToolUse:")):
            failures += 1
    total = lambda name: sum(counted.get(name) or 0 for counted in usage.values())
    print(json.dumps({
        "tool_calls": len(calls),
        "rejections": rejections,
        "failures": failures,
        "interrupted": interrupted,
        "input_tokens": total("input_tokens"),
        "output_tokens": total("output_tokens"),
        "cache_read_tokens": total("cache_read_input_tokens"),
        "cache_write_tokens": total("cache_creation_input_tokens"),
        "prompts": prompts,
    }))


if __name__ == "__main__":
    main(sys.argv[1])
