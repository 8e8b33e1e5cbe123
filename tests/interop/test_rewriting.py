"""Runs are found again after amends and rebases, in two clones and their remote."""

import json

import pytest

from tests.support.rewriting import Lab, head, main_moves_on, newest, prov


class TestAmend:
    @pytest.mark.parametrize("files", [{}, {"f0.py": "x = 9\n"}])
    def test_once(self, lab: Lab, files: dict[str, str]) -> None:
        lab.commits(1)
        run = lab.run()
        for name, content in files.items():
            lab.here.write(name, content)
        lab.here.git("commit", "--quiet", "--all", "--amend", "-m", "better")
        lab.publish()
        lab.expect({run: {head(lab.here): "rewritten"}})
        same = json.loads(lab.here.prov("links", run, "--json"))["links"][0]["same_tree"]
        assert same == (not files)

    def test_again_and_again(self, lab: Lab) -> None:
        lab.commits(1)
        run = lab.run()
        for number in range(4):
            lab.here.write("f0.py", f"x = {number + 10}\n")
            lab.here.git("commit", "--quiet", "--all", "--amend", "-m", f"better {number}")
        lab.publish()
        lab.expect({run: {head(lab.here): "rewritten"}})

    def test_with_a_run_in_between(self, lab: Lab) -> None:
        lab.commits(1)
        one = lab.run()
        lab.here.git("commit", "--quiet", "--amend", "-m", "better")
        two = lab.run()
        lab.here.git("commit", "--quiet", "--amend", "-m", "best")
        lab.publish()
        last = head(lab.here)
        lab.expect({one: {last: "rewritten"}, two: {last: "rewritten"}})

    def test_undone(self, lab: Lab) -> None:
        (commit,) = lab.commits(1)
        run = lab.run()
        lab.here.write("f0.py", "x = 9\n")
        lab.here.git("commit", "--quiet", "--all", "--amend", "-m", "worse")
        lab.here.git("reset", "--quiet", "--hard", commit)
        lab.publish()
        lab.expect({run: {}})

    def test_of_the_first_commit(self, lab: Lab) -> None:
        run = lab.run()
        lab.here.write("train.py", "print('trained well')\n")
        lab.here.git("commit", "--quiet", "--all", "--amend", "-m", "first of all")
        assert len(newest(lab.here, 2)) == 1
        lab.publish()
        lab.expect({run: {head(lab.here): "rewritten"}})

    def test_of_uncommitted_changes(self, lab: Lab) -> None:
        lab.commits(1)
        lab.here.write("f0.py", "x = 9\n")
        run = lab.run()
        lab.here.git("commit", "--quiet", "--all", "--amend", "-m", "with the changes")
        lab.publish()
        lab.expect({run: {head(lab.here): "committed"}})

    def test_beside_uncommitted_changes(self, lab: Lab) -> None:
        lab.commits(1)
        lab.here.write("f0.py", "x = 9\n")
        run = lab.run()
        lab.here.git("commit", "--quiet", "--amend", "-m", "without the changes")
        lab.publish()
        lab.expect({run: {head(lab.here): "rewritten"}})

    def test_while_a_run_is_under_way(self, lab: Lab) -> None:
        lab.commits(1)
        (lab.here.path / ".git/wait").mkdir()
        script = "mkfifo .git/wait/go; : >.git/wait/ready; read -r line <.git/wait/go"
        with lab.started("sh", "-c", script) as running:
            running.wait_for(lab.here.path / ".git/wait/ready")
            lab.here.git("commit", "--quiet", "--amend", "-m", "better")
            (again,) = prov(lab.here, ["log"])
            assert again.status == 0
            (lab.here.path / ".git/wait/go").write_text("now\n")
        run = running.run_id
        lab.publish()
        lab.expect({run: {head(lab.here): "rewritten"}})


class TestRebase:
    def test_plain(self, lab: Lab) -> None:
        old = lab.commits(2, branch="topic")
        runs = [lab.run(at=commit) for commit in old]
        main_moves_on(lab)
        lab.here.git("rebase", "--quiet", "main")
        lab.here.git("checkout", "--quiet", "main")
        lab.here.git("merge", "--quiet", "--ff-only", "topic")
        lab.publish()
        new = newest(lab.here, 2)
        lab.expect({run: {commit: "rewritten"} for run, commit in zip(runs, new, strict=True)})

    def test_of_one_that_main_has_already(self, lab: Lab) -> None:
        """Git leaves it out and does not say why: the cherry-pick is found by its patch."""
        old = lab.commits(2, branch="topic")
        runs = [lab.run(at=commit) for commit in old]
        main_moves_on(lab)
        lab.here.git("checkout", "--quiet", "main")
        lab.here.git("cherry-pick", old[0])
        picked = head(lab.here)
        lab.here.git("checkout", "--quiet", "topic")
        lab.here.git("rebase", "--quiet", "main")
        lab.here.git("checkout", "--quiet", "main")
        lab.here.git("merge", "--quiet", "--ff-only", "topic")
        lab.publish()
        lab.expect({runs[0]: {picked: "same-patch"}, runs[1]: {head(lab.here): "rewritten"}})

    def test_reorder(self, lab: Lab) -> None:
        old = lab.commits(3)
        runs = [lab.run(at=commit) for commit in old]
        lab.rebase("origin/main", [f"pick {old[n]}" for n in (2, 0, 1)])
        lab.publish()
        last, *first = newest(lab.here, 3)
        lab.expect({
            runs[0]: {first[0]: "rewritten"},
            runs[1]: {first[1]: "rewritten"},
            # All three together make the tree that ran, in whatever order.
            runs[2]: {last: "rewritten", first[1]: "same-tree"},
        })  # fmt: skip

    @pytest.mark.parametrize("how", ["squash", "fixup"])
    def test_squash_and_fixup(self, lab: Lab, how: str) -> None:
        old = lab.commits(3)
        runs = [lab.run(at=commit) for commit in old]
        lab.rebase("origin/main", [f"pick {old[0]}", *(f"{how} {commit}" for commit in old[1:])])
        lab.publish()
        assert len(newest(lab.here, 9)) == 2
        lab.expect({run: {head(lab.here): "rewritten"} for run in runs})

    def test_drop(self, lab: Lab) -> None:
        old = lab.commits(3)
        runs = [lab.run(at=commit) for commit in old]
        lab.rebase("origin/main", [f"pick {old[0]}", f"drop {old[1]}", f"pick {old[2]}"])
        lab.publish()
        lab.expect({runs[0]: {}, runs[1]: {}, runs[2]: {head(lab.here): "rewritten"}})

    def test_edit(self, lab: Lab) -> None:
        old = lab.commits(2)
        runs = [lab.run(at=commit) for commit in old]
        lab.rebase("origin/main", [f"edit {old[0]}", f"pick {old[1]}"])
        lab.here.write("f0.py", "x = 9\n")
        lab.here.git("commit", "--quiet", "--all", "--amend", "-m", "edited")
        lab.here.git("rebase", "--continue")
        lab.publish()
        new = newest(lab.here, 2)
        lab.expect({run: {commit: "rewritten"} for run, commit in zip(runs, new, strict=True)})

    def test_split(self, lab: Lab) -> None:
        """Git takes the last part for the one that is in the place of the whole."""
        old = lab.here.commit("both", {"one.py": "1\n", "two.py": "2\n"})
        run = lab.run()
        lab.rebase("origin/main", [f"edit {old}"])
        lab.here.git("reset", "--quiet", "HEAD^")
        for part in ("one", "two"):
            lab.here.git("add", f"{part}.py")
            lab.here.git("commit", "--quiet", "-m", part)
        lab.here.git("rebase", "--continue")
        lab.publish()
        lab.expect({run: {head(lab.here): "rewritten"}})

    def test_reword(self, lab: Lab) -> None:
        old = lab.commits(2)
        runs = [lab.run(at=commit) for commit in old]
        lab.rebase(
            "origin/main", [f"reword {old[0]}", f"pick {old[1]}"],
            GIT_EDITOR="sh -c 'echo reworded >\"$1\"' -",
        )  # fmt: skip
        lab.publish()
        new = newest(lab.here, 2)
        assert lab.here.git("log", "-1", "--format=%s", new[0]) == "reworded\n"
        lab.expect({run: {commit: "rewritten"} for run, commit in zip(runs, new, strict=True)})

    def test_autosquash(self, lab: Lab) -> None:
        old = lab.commits(2)
        lab.here.write("f0.py", "x = 9\n")
        lab.here.git("commit", "--quiet", "--all", f"--fixup={old[0]}")
        runs = [lab.run(at=commit) for commit in (*old, head(lab.here))]
        lab.here.git(
            "rebase", "--quiet", "-i", "--autosquash", "origin/main", GIT_SEQUENCE_EDITOR="true"
        )
        lab.publish()
        new = newest(lab.here, 2)
        lab.expect({
            runs[0]: {new[0]: "rewritten"},
            runs[1]: {new[1]: "rewritten"},
            runs[2]: {new[0]: "rewritten", new[1]: "same-tree"},
        })  # fmt: skip

    def test_onto(self, lab: Lab) -> None:
        below = lab.commits(1, branch="below")
        above = lab.commits(2, branch="above")
        runs = [lab.run(at=commit) for commit in (*below, *above)]
        lab.here.git("rebase", "--quiet", "--onto", "main", "below", "above")
        lab.here.git("checkout", "--quiet", "main")
        lab.here.git("merge", "--quiet", "--ff-only", "above")
        lab.publish()
        new = newest(lab.here, 2)
        lab.expect({
            runs[0]: {}, runs[1]: {new[0]: "rewritten"}, runs[2]: {new[1]: "rewritten"}
        })  # fmt: skip

    def conflict(self, lab: Lab) -> list[str]:
        """Rebase two commits, the first of which has a conflict; return the runs of both."""
        lab.here.git("checkout", "--quiet", "-b", "topic")
        old = [
            lab.here.commit("one", {"train.py": "print('ours')\n"}),
            lab.here.commit("two", {"two.py": "2\n"}),
        ]
        runs = [lab.run(at=commit) for commit in old]
        lab.here.git("checkout", "--quiet", "main")
        lab.here.commit("theirs", {"train.py": "print('theirs')\n"})
        lab.here.git("checkout", "--quiet", "topic")
        assert lab.here.call("git", "rebase", "--quiet", "main").returncode == 1
        return runs

    def land(self, lab: Lab) -> None:
        lab.here.git("checkout", "--quiet", "main")
        lab.here.git("merge", "--quiet", "--ff-only", "topic")
        lab.publish()

    def test_continued_after_a_conflict(self, lab: Lab) -> None:
        runs = self.conflict(lab)
        lab.here.write("train.py", "print('both')\n")
        lab.here.git("add", "train.py")
        lab.here.git("rebase", "--continue", GIT_EDITOR="true")
        self.land(lab)
        new = newest(lab.here, 2)
        lab.expect({run: {commit: "rewritten"} for run, commit in zip(runs, new, strict=True)})

    def test_skipped_after_a_conflict(self, lab: Lab) -> None:
        runs = self.conflict(lab)
        lab.here.git("rebase", "--skip")
        self.land(lab)
        lab.expect({runs[0]: {}, runs[1]: {head(lab.here): "rewritten"}})

    def test_skipped_behind_another(self, lab: Lab) -> None:
        """Git names the commit before it as that which took its place."""
        lab.here.git("checkout", "--quiet", "-b", "topic")
        old = [
            lab.here.commit("one", {"one.py": "1\n"}),
            lab.here.commit("two", {"train.py": "print('ours')\n"}),
        ]
        runs = [lab.run(at=commit) for commit in old]
        lab.here.git("checkout", "--quiet", "main")
        lab.here.commit("theirs", {"train.py": "print('theirs')\n"})
        lab.here.git("checkout", "--quiet", "topic")
        assert lab.here.call("git", "rebase", "--quiet", "main").returncode == 1
        lab.here.git("rebase", "--skip")
        self.land(lab)
        lab.expect({runs[0]: {head(lab.here): "rewritten"}, runs[1]: {}})

    def test_notes_of_what_was_skipped(self, lab: Lab) -> None:
        """The commit before it did not run what the skipped one did."""
        lab.here.git("checkout", "--quiet", "-b", "topic")
        lab.here.commit("one", {"one.py": "1\n"})
        lab.here.commit("two", {"train.py": "print('ours')\n"})
        lab.run()
        lab.here.git("checkout", "--quiet", "main")
        lab.here.commit("theirs", {"train.py": "print('theirs')\n"})
        lab.here.git("checkout", "--quiet", "topic")
        assert lab.here.call("git", "rebase", "--quiet", "main").returncode == 1
        lab.here.git("rebase", "--skip")
        lab.here.prov("notes")
        assert lab.here.git("log", "--notes=prov", "--format=%N", "main..topic").split() == []

    def test_skipped_behind_one_that_stays(self, lab: Lab) -> None:
        old = [
            lab.here.commit("one", {"one.py": "1\n"}),
            lab.here.commit("two", {"train.py": "print('2')\n"}),
            lab.here.commit("three", {"train.py": "print('3')\n"}),
        ]
        runs = [lab.run(at=commit) for commit in old]
        plan = lab.folder / "todo"
        plan.write_text(f"pick {old[0]}\npick {old[2]}\n")
        stopped = lab.here.call(
            "git", "rebase", "--quiet", "-i", "origin/main", GIT_SEQUENCE_EDITOR=f"cp '{plan}'"
        )
        assert stopped.returncode == 1
        lab.here.git("rebase", "--skip")
        lab.publish()
        assert head(lab.here) == old[0]
        lab.expect({run: {} for run in runs})

    def test_left_out_as_main_has_it_already(self, lab: Lab) -> None:
        """Git leaves out what has become empty, and calls that rewritten, too."""
        lab.here.git("checkout", "--quiet", "-b", "topic")
        old = [lab.here.commit("one", {"one.py": "1\n"}), lab.here.commit("two", {"two.py": "2\n"})]
        runs = [lab.run(at=commit) for commit in old]
        lab.here.git("checkout", "--quiet", "main")
        lab.here.commit("with the first", {"one.py": "1\n", "more.py": "m = 1\n"})
        lab.here.commit("meanwhile", {"meanwhile.py": "y = 1\n"})
        lab.here.git("checkout", "--quiet", "topic")
        lab.here.git("rebase", "--quiet", "main")
        self.land(lab)
        assert len(newest(lab.here, 9)) == 4
        lab.expect({runs[0]: {}, runs[1]: {head(lab.here): "rewritten"}})

    def test_squashed_through_conflicts(self, lab: Lab) -> None:
        """All that went into one commit is in it, and what was skipped behind it is not."""
        lab.here.git("checkout", "--quiet", "-b", "topic")
        old = [
            lab.here.commit("one", {"one.py": "1\n"}),
            lab.here.commit("two", {"train.py": "print('two')\n"}),
            lab.here.commit("three", {"three.py": "3\n"}),
            lab.here.commit("four", {"train.py": "print('four')\n"}),
        ]
        runs = [lab.run(at=commit) for commit in old]
        lab.here.git("checkout", "--quiet", "main")
        lab.here.commit("theirs", {"train.py": "print('theirs')\n"})
        lab.here.git("checkout", "--quiet", "topic")
        plan = lab.folder / "todo"
        verbs = ("pick", "squash", "squash", "pick")
        plan.write_text("".join(f"{a} {b}\n" for a, b in zip(verbs, old, strict=True)))
        env = {"GIT_SEQUENCE_EDITOR": f"cp '{plan}'", "GIT_EDITOR": "true"}
        stopped = lab.here.call("git", "rebase", "--quiet", "-i", "main", **env)
        assert stopped.returncode == 1
        lab.here.write("train.py", "print('both')\n")
        lab.here.git("add", "train.py")
        assert lab.here.call("git", "rebase", "--continue", **env).returncode == 1
        lab.here.git("rebase", "--skip", **env)
        self.land(lab)
        new = head(lab.here)
        lab.expect({**{run: {new: "rewritten"} for run in runs[:3]}, runs[3]: {}})

    def test_given_up(self, lab: Lab) -> None:
        runs = self.conflict(lab)
        lab.here.git("rebase", "--abort")
        lab.here.git("checkout", "--quiet", "main")
        lab.publish()
        lab.expect({run: {} for run in runs})

    def test_pull(self, lab: Lab) -> None:
        lab.there.commit("theirs", {"theirs.py": "z = 1\n"})
        lab.there.git("push", "--quiet", "origin", "main")
        old = lab.commits(2)
        runs = [lab.run(at=commit) for commit in old]
        lab.here.git("pull", "--quiet", "--rebase", "origin", "main")
        lab.publish()
        new = newest(lab.here, 2)
        lab.expect({run: {commit: "rewritten"} for run, commit in zip(runs, new, strict=True)})

    def test_with_dates_of_long_ago(self, lab: Lab) -> None:
        """The new commit is older than its source, by its date."""
        for key in ("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"):
            assert key not in lab.here.git("var", "-l")
        lab.here.write("old.py", "o = 1\n")
        lab.here.git("add", "old.py")
        lab.here.git("commit", "--quiet", "-m", "old", GIT_AUTHOR_DATE="2026-06-01T12:00:00Z")
        run = lab.run()
        lab.here.git("checkout", "--quiet", "-b", "side", "HEAD^")
        lab.here.commit("side", {"side.py": "s = 1\n"})
        lab.here.git("checkout", "--quiet", "main")
        lab.here.git("rebase", "--quiet", "--committer-date-is-author-date", "side")
        new = head(lab.here)
        lab.commits(1)
        lab.publish()
        lab.expect({run: {new: "rewritten"}})

    def test_in_a_clone_without_hooks(self, lab: Lab) -> None:
        """Nothing is recorded; what changes the same is found."""
        old = lab.commits(2, branch="topic")
        runs = [lab.run(at=commit) for commit in old]
        main_moves_on(lab)
        lab.here.git("rebase", "--quiet", "main", GITPROV_HOOKS="0")
        lab.here.git("checkout", "--quiet", "main")
        lab.here.git("merge", "--quiet", "--ff-only", "topic")
        lab.publish()
        new = newest(lab.here, 2)
        lab.expect({run: {commit: "same-patch"} for run, commit in zip(runs, new, strict=True)})
        pairs = lab.folder / "pairs"
        pairs.write_text("".join(f"{a} {b}\n" for a, b in zip(old, new, strict=True)))
        lab.here.prov("links", "--record-map", str(pairs))
        noted = lab.here.git("log", "-1", "--notes=prov", "--format=%N").strip()
        assert noted.endswith("true (rewritten by map; other code)")
        lab.exchange()
        lab.expect({run: {commit: "rewritten"} for run, commit in zip(runs, new, strict=True)})
