#!/usr/bin/env python3
"""Replays recorded sessions of Claude Code as the payloads that its hooks would have been given.

  replay_hooks.py PROGRAM REPOSITORY SESSION... [--late] [--jobs N]

Sessions run side by side; inside a session the hooks of one turn's calls run side by side too. With --late a third of
the results arrive only after the turn's Stop. Prints, for each session, what it sent as JSON. Standard library only.
"""
import concurrent.futures
import json
import random
import subprocess
import sys


def main(argv):
    late, jobs = "--late" in argv, 4
    if "--jobs" in argv:
        at = argv.index("--jobs")
        jobs = int(argv[at + 1])
        del argv[at:at + 2]
    program, repository, *sessions = [a for a in argv if a != "--late"]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(replay, program, repository, path, late, jobs) for path in sessions]
        for future in futures:
            print(json.dumps(future.result()))


def fire(program, repository, payload):
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    done = subprocess.run([program, "hook", "claude-code"], input=data, cwd=repository, capture_output=True)
    assert done.returncode == 0 and not done.stdout and not done.stderr, (done, payload)


def turns(path):
    """The prompts of a session, each with the calls made for it and what came of them."""
    lines = [json.loads(line) for line in open(path, encoding="utf-8") if line.strip()]
    session, found, calls, seen = "", [], {}, set()
    for line in lines:
        inner = line
        if line.get("type") == "progress" and (line.get("data") or {}).get("type") == "agent_progress":
            inner = line["data"]["message"]
        session = session or line.get("sessionId", "")
        message = inner.get("message") or {}
        content = message.get("content")
        if inner.get("type") == "user" and isinstance(content, str) and inner is line:
            plain = content.lstrip()
            if not line.get("isMeta") and not line.get("isSidechain") and not plain.startswith("<local-command") \
                    and not line.get("isCompactSummary") and not plain.startswith("Caveat:"):
                found.append({"prompt": content, "calls": [], "said": None})
        blocks = content if isinstance(content, list) else []
        for block in blocks:
            if inner.get("type") == "user" and block.get("type") == "text" and inner is line \
                    and not line.get("isMeta") and not line.get("isSidechain") \
                    and not block["text"].startswith("[Request interrupted") \
                    and not any(b.get("type") == "tool_result" for b in blocks) and block is blocks[0]:
                found.append({"prompt": block["text"], "calls": [], "said": None})
            if block.get("type") == "tool_use" and block["id"] not in seen:
                seen.add(block["id"])
                agent = (line.get("data") or {}).get("agentId") if inner is not line else None
                call = {"use": block, "agent": agent, "result": None, "detail": None}
                calls[block["id"]] = call
                if found:
                    found[-1]["calls"].append(call)
            if block.get("type") == "tool_result" and block["tool_use_id"] in calls:
                call = calls[block["tool_use_id"]]
                if call["result"] is None:
                    call["result"], call["detail"] = block, inner.get("toolUseResult")
            if block.get("type") == "text" and inner.get("type") == "assistant" and inner is line and found:
                found[-1]["said"] = block["text"]
    return session, found


def said(block):
    content = block.get("content")
    if isinstance(content, list):
        return "\n".join(part.get("text", "[image]") for part in content)
    return content or ""


def replay(program, repository, path, late, jobs):
    session, found = turns(path)
    common = {"session_id": session, "transcript_path": "/nowhere/" + session, "cwd": repository,
              "permission_mode": "default"}
    sent = {"session": session, "prompts": 0, "calls": 0, "results": 0, "late": 0}
    chance = random.Random(session)
    fire(program, repository, {**common, "hook_event_name": "SessionStart", "source": "startup", "model": "m"})
    for turn in found:
        fire(program, repository, {**common, "hook_event_name": "UserPromptSubmit", "prompt": turn["prompt"]})
        sent["prompts"] += 1
        held = []

        def one(call):
            use = call["use"]
            about = {**common, "tool_name": use["name"], "tool_input": use["input"], "tool_use_id": use["id"]}
            if call["agent"]:
                about["agent_id"] = call["agent"]
            fire(program, repository, {**about, "hook_event_name": "PreToolUse"})
            if call["result"] is None:
                return
            if call["result"].get("is_error"):
                after = {**about, "hook_event_name": "PostToolUseFailure", "error": said(call["result"])}
            else:
                detail = call["detail"] if call["detail"] is not None else said(call["result"])
                after = {**about, "hook_event_name": "PostToolUse", "tool_response": detail, "duration_ms": 7}
            if call in late_ones:
                held.append(after)
            else:
                fire(program, repository, after)

        late_ones = [c for c in turn["calls"] if late and chance.random() < 0.33 and c["result"] is not None]
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            list(pool.map(one, turn["calls"]))
        stop = {**common, "hook_event_name": "Stop", "stop_hook_active": False}
        if turn["said"]:
            stop["last_assistant_message"] = turn["said"]
        fire(program, repository, stop)
        for after in held:
            fire(program, repository, after)
        sent["calls"] += len(turn["calls"])
        sent["results"] += sum(c["result"] is not None for c in turn["calls"])
        sent["late"] += len(held)
    fire(program, repository, {**common, "hook_event_name": "SessionEnd", "reason": "other"})
    return sent


if __name__ == "__main__":
    main(sys.argv[1:])
