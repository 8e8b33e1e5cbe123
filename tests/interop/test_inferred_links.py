"""Squash merges, cherry-picks and what else no hook tells of: found when somebody asks."""

from pathlib import Path

import pytest

from tests.support.repositories import Clone
from tests.support.rewriting import Lab, head, main_moves_on, newest, prov


def squash(lab: Lab, branch: str = "topic", *, clone: Clone | None = None) -> str:
    """Merge a branch into main as one commit; return it."""
    clone = clone or lab.here
    clone.git("checkout", "--quiet", "main")
    clone.git("merge", "--quiet", "--squash", branch)
    clone.git("commit", "--quiet", "-m", f"all of {branch}")
    return head(clone)


class TestSquashMerge:
    @pytest.mark.parametrize("runs_at", [[0, 1, 2], [2], [0], [1], [0, 1]])
    @pytest.mark.parametrize("moved", [True, False], ids=["main moved on", "main stood still"])
    def test_of_three_commits(self, lab: Lab, runs_at: list[int], *, moved: bool) -> None:
        """The branch is there, then deleted: what is said of runs stays the same."""
        commits = lab.commits(3, branch="topic")
        runs = {number: lab.run(at=commits[number]) for number in runs_at}
        if moved:
            main_moves_on(lab)
        merge = squash(lab)
        lab.publish()
        tip = "squash" if moved else "same-tree"
        expected = {run: {merge: tip if n == 2 else "squash"} for n, run in runs.items()}
        # Where no run is at the end of the branch, its end never comes to the other clone.
        unknown = {} if 2 in runs_at else {run: {} for run in runs.values()}
        lab.expect(expected, there=unknown)
        lab.here.git("branch", "--quiet", "-D", "topic")
        lab.expect_in(lab.here, expected)

    @pytest.mark.parametrize("moved", [True, False], ids=["main moved on", "main stood still"])
    def test_of_one_commit(self, lab: Lab, *, moved: bool) -> None:
        lab.commits(1, branch="topic")
        run = lab.run()
        if moved:
            main_moves_on(lab)
        merge = squash(lab)
        lab.publish()
        lab.expect({run: {merge: "same-patch" if moved else "same-tree"}})

    @pytest.mark.parametrize("kept", [True, False], ids=["branch kept", "branch deleted"])
    def test_of_a_branch_that_goes_on(self, lab: Lab, *, kept: bool) -> None:
        """What came after the merge is not in it, what came before is."""
        commits = lab.commits(2, branch="topic")
        runs = [lab.run(at=commit) for commit in commits]
        main_moves_on(lab)
        merge = squash(lab)
        lab.here.git("checkout", "--quiet", "topic")
        lab.here.commit("later", {"later.py": "l = 1\n"})
        later = lab.run()
        lab.here.git("checkout", "--quiet", "main")
        if not kept:
            lab.here.git("branch", "--quiet", "-D", "topic")
        lab.publish()
        lab.expect({runs[0]: {merge: "squash"}, runs[1]: {merge: "squash"}, later: {}})

    def test_twice(self, lab: Lab) -> None:
        """The branch takes in main after the first merge, and is merged once more."""
        one = lab.commits(2, branch="topic")
        runs = [lab.run(at=commit) for commit in one]
        main_moves_on(lab)
        first = squash(lab)
        lab.here.git("checkout", "--quiet", "topic")
        lab.here.git("merge", "--quiet", "main")
        more = [lab.here.commit(f"m{n}", {f"m{n}.py": f"{n}\n"}) for n in (1, 2)]
        runs += [lab.run(at=commit) for commit in more]
        main_moves_on_again(lab)
        second = squash(lab)
        lab.publish()
        lab.expect({
            **{run: {first: "squash"} for run in runs[:2]},
            **{run: {second: "squash"} for run in runs[2:]},
        })  # fmt: skip

    @pytest.mark.parametrize("moved", [True, False], ids=["main moved on", "main stood still"])
    def test_again_and_again(self, lab: Lab, *, moved: bool) -> None:
        """A branch that never takes in main: each merge has what came since the one before."""
        expected: dict[str, dict[str, str]] = {}
        lab.here.git("checkout", "--quiet", "-b", "topic")
        for part in range(3):
            lab.here.git("checkout", "--quiet", "topic")
            made = [lab.here.commit(f"{part}.{n}", {f"p{part}{n}.py": "p\n"}) for n in (1, 2)]
            runs = [lab.run(at=commit) for commit in made]
            if moved:
                lab.here.git("checkout", "--quiet", "main")
                lab.here.commit("meanwhile", {f"meanwhile{part}.py": "y\n"})
            merge = squash(lab)
            tip = "squash" if moved else "same-tree"
            expected |= {runs[0]: {merge: "squash"}, runs[1]: {merge: tip}}
        lab.publish()
        lab.expect(expected)

    def test_of_a_branch_that_has_taken_in_main(self, lab: Lab) -> None:
        commits = lab.commits(2, branch="topic")
        main_moves_on(lab)
        lab.here.git("merge", "--quiet", "main")
        runs = [lab.run(at=commit) for commit in (*commits, head(lab.here))]
        main_moves_on_again(lab)
        merge = squash(lab)
        lab.publish()
        lab.expect({run: {merge: "squash"} for run in runs})

    def test_of_a_branch_of_a_branch(self, lab: Lab) -> None:
        lab.commits(2, branch="below")
        below = lab.run()
        lab.commits(2, branch="above")
        above = lab.run()
        main_moves_on(lab)
        merge = squash(lab, "above")
        lab.publish()
        lab.expect({below: {merge: "squash"}, above: {merge: "squash"}})

    def test_of_a_branch_that_was_pushed_half_way(self, lab: Lab) -> None:
        commits = lab.commits(3, branch="topic")
        lab.here.git("push", "--quiet", "origin", f"{commits[0]}:refs/heads/topic")
        lab.here.git("fetch", "--quiet", "origin")
        runs = [lab.run(at=commit) for commit in commits]
        main_moves_on(lab)
        merge = squash(lab)
        lab.publish()
        lab.expect({run: {merge: "squash"} for run in runs})

    def test_of_nothing(self, lab: Lab) -> None:
        """A branch that takes back all that it did holds nothing, whatever has its last tree."""
        first = lab.here.commit("something", {"some.py": "s = 1\n"})
        commits = lab.commits(1, branch="topic")
        run = lab.run()
        lab.here.git("revert", "--no-edit", commits[0])
        back = lab.run()
        lab.here.git("checkout", "--quiet", "main")
        lab.here.commit("more", {"more.py": "m = 1\n"})
        lab.publish()
        lab.expect({run: {}, back: {first: "same-tree"}})

    def test_that_was_edited(self, lab: Lab) -> None:
        """What no patch id tells is told by a map that somebody gives."""
        commits = lab.commits(2, branch="topic")
        runs = [lab.run(at=commit) for commit in commits]
        main_moves_on(lab)
        lab.here.git("checkout", "--quiet", "main")
        lab.here.git("merge", "--quiet", "--squash", "topic")
        lab.here.write("topic0.py", "x = 'edited'\n")
        lab.here.git("commit", "--quiet", "--all", "-m", "nearly all of topic")
        merge = head(lab.here)
        lab.publish()
        lab.expect({run: {} for run in runs})
        pairs = lab.folder / "pairs"
        pairs.write_text("".join(f"{commit} {merge}\n" for commit in commits))
        answer = prov(lab.here, ["links", "last", "--record-map", str(pairs)])[0]
        assert "recorded 2 rewritten commits" in answer.stderr
        lab.exchange()
        lab.expect({run: {merge: "rewritten"} for run in runs})

    def test_of_binary_files(self, lab: Lab) -> None:
        lab.here.git("checkout", "--quiet", "-b", "topic")
        lab.here.commit("one", {"a.bin": bytes(range(256))})
        run = lab.run()
        lab.here.git("checkout", "--quiet", "-b", "other", "main")
        lab.here.commit("other", {"a.bin": bytes(range(255, -1, -1))})
        other = lab.run()
        lab.here.git("checkout", "--quiet", "main")
        main_moves_on(lab)
        merge = squash(lab)
        lab.publish()
        lab.expect({run: {merge: "same-patch"}, other: {}})

    def test_by_a_forge(self, lab: Lab, tmp_path: Path) -> None:
        """Somebody without gitprov merges at the remote; the branch is deleted there and here."""
        commits = lab.commits(3, branch="topic")
        runs = [lab.run(at=commit) for commit in commits]
        lab.here.git("push", "--quiet", "origin", "topic")
        forge = Clone.of(str(lab.server.path), tmp_path / "forge")
        forge.commit("of somebody else", {"else.py": "e = 1\n"})
        merge = squash(lab, "origin/topic", clone=forge)
        forge.commit("and on", {"on.py": "o = 1\n"})
        forge.git("push", "--quiet", "origin", "main", ":topic")
        lab.here.git("checkout", "--quiet", "main")
        lab.here.git("pull", "--quiet", "--prune", "origin", "main")
        lab.here.git("branch", "--quiet", "-D", "topic")
        lab.publish()
        lab.expect({run: {merge: "squash"} for run in runs})

    def test_after_amend_and_rebase(self, lab: Lab) -> None:
        """Rewritten twice, then squashed: each step counts."""
        lab.commits(2, branch="topic")
        run = lab.run()
        lab.here.write("topic1.py", "x = 'amended'\n")
        lab.here.git("commit", "--quiet", "--all", "--amend", "-m", "amended")
        main_moves_on(lab)
        lab.here.git("rebase", "--quiet", "main")
        main_moves_on_again(lab)
        merge = squash(lab)
        lab.here.git("branch", "--quiet", "-D", "topic")
        lab.publish()
        lab.expect({run: {merge: "squash"}}, there={run: {}})
        (listed,) = prov(lab.here, ["log", "main", "--oneline"])
        assert f"-> {merge[:9]} (amended, " in listed.stdout
        assert "squashed; inferred)" in listed.stdout


def main_moves_on_again(lab: Lab) -> None:
    branch = lab.here.git("symbolic-ref", "--short", "HEAD").strip()
    lab.here.git("checkout", "--quiet", "main")
    lab.here.commit("meanwhile, again", {"again.py": "z = 1\n"})
    lab.here.git("checkout", "--quiet", branch)


class TestCherryPick:
    @pytest.mark.parametrize("options", [(), ("-x",), ("--signoff",), ("--edit",)])
    def test_one(self, lab: Lab, options: tuple[str, ...]) -> None:
        commits = lab.commits(3, branch="topic")
        runs = [lab.run(at=commit) for commit in commits]
        main_moves_on(lab)
        lab.here.git("checkout", "--quiet", "main")
        lab.here.git("cherry-pick", *options, commits[1], GIT_EDITOR="true")
        lab.publish()
        lab.expect({runs[0]: {}, runs[1]: {head(lab.here): "same-patch"}, runs[2]: {}})

    def test_range(self, lab: Lab) -> None:
        commits = lab.commits(3, branch="topic")
        runs = [lab.run(at=commit) for commit in commits]
        main_moves_on(lab)
        lab.here.git("checkout", "--quiet", "main")
        lab.here.git("cherry-pick", f"{commits[0]}..topic")
        picked = newest(lab.here, 2)
        lab.publish()
        lab.expect({
            runs[0]: {}, runs[1]: {picked[0]: "same-patch"}, runs[2]: {picked[1]: "same-patch"}
        })  # fmt: skip

    def test_all_as_one(self, lab: Lab) -> None:
        commits = lab.commits(2, branch="topic")
        runs = [lab.run(at=commit) for commit in commits]
        main_moves_on(lab)
        lab.here.git("checkout", "--quiet", "main")
        lab.here.git("cherry-pick", "--no-commit", "main..topic")
        lab.here.git("commit", "--quiet", "-m", "picked")
        lab.publish()
        lab.expect({run: {head(lab.here): "squash"} for run in runs})

    def test_some_as_one(self, lab: Lab) -> None:
        """No commit and no branch changes the same: nothing is made up."""
        commits = lab.commits(3, branch="topic")
        runs = [lab.run(at=commit) for commit in commits]
        main_moves_on(lab)
        lab.here.git("checkout", "--quiet", "main")
        lab.here.git("cherry-pick", "--no-commit", *commits[1:])
        lab.here.git("commit", "--quiet", "-m", "picked")
        lab.publish()
        lab.expect({run: {} for run in runs})

    def test_to_two_branches(self, lab: Lab) -> None:
        commits = lab.commits(1, branch="topic")
        run = lab.run()
        picked = []
        for branch in ("main", "release"):
            lab.here.git("checkout", "--quiet", "-B", branch, "origin/main")
            lab.here.commit(f"on {branch}", {f"{branch}.py": "b = 1\n"})
            lab.here.git("cherry-pick", commits[0])
            picked.append(head(lab.here))
        lab.here.git("checkout", "--quiet", "main")
        lab.publish()
        lab.expect(
            {run: dict.fromkeys(picked, "same-patch")}, there={run: {picked[0]: "same-patch"}}
        )


class TestMail:
    @pytest.mark.parametrize("moved", [True, False], ids=["main moved on", "main stood still"])
    def test_am(self, lab: Lab, *, moved: bool) -> None:
        commits = lab.commits(2, branch="topic")
        runs = [lab.run(at=commit) for commit in commits]
        if moved:
            main_moves_on(lab)
        patches = lab.here.git(
            "format-patch", "--stdout", "main~1..topic" if moved else "main..topic"
        )
        (lab.folder / "mail").write_text(patches)
        lab.here.git("checkout", "--quiet", "main")
        lab.here.git("am", "--quiet", str(lab.folder / "mail"), GIT_COMMITTER_NAME="Grace")
        lab.publish()
        kind = "same-patch" if moved else "same-tree"
        new = newest(lab.here, 2)
        lab.expect({run: {commit: kind} for run, commit in zip(runs, new, strict=True)})


class TestRevert:
    def test_on_main(self, lab: Lab) -> None:
        """Each run stays with its own commit, whatever has the same tree later."""
        commits = lab.commits(2)
        runs = [lab.run(at=commit) for commit in commits]
        lab.here.git("revert", "--no-edit", commits[1])
        runs.append(lab.run())
        lab.here.git("revert", "--no-edit", "HEAD")
        runs.append(lab.run())
        lab.publish()
        lab.expect({run: {} for run in runs})

    def test_of_a_cherry_pick(self, lab: Lab) -> None:
        """The revert changes something else; the revert of the revert changes the same again."""
        commits = lab.commits(2, branch="topic")
        run = lab.run(at=commits[0])
        main_moves_on(lab)
        lab.here.git("checkout", "--quiet", "main")
        lab.here.git("cherry-pick", commits[0])
        picked = head(lab.here)
        lab.here.git("revert", "--no-edit", "HEAD")
        lab.here.git("revert", "--no-edit", "HEAD")
        lab.publish()
        lab.expect({run: {picked: "same-patch", head(lab.here): "same-patch"}})

    def test_of_a_squash_merge(self, lab: Lab) -> None:
        commits = lab.commits(2, branch="topic")
        run = lab.run(at=commits[0])
        tip = lab.run(at=commits[1])
        main_moves_on(lab)
        merge = squash(lab)
        lab.here.git("revert", "--no-edit", "HEAD")
        lab.publish()
        lab.expect({run: {merge: "squash"}, tip: {merge: "squash"}})


def test_branches_that_were_merged_as_they_are_need_no_link(lab: Lab) -> None:
    """An octopus merge, and an ordinary one."""
    runs = []
    for branch in ("one", "two", "three"):
        lab.here.git("checkout", "--quiet", "main")
        lab.commits(1, branch=branch)
        runs.append(lab.run())
    lab.here.git("checkout", "--quiet", "main")
    lab.here.git("merge", "--quiet", "-m", "all three", "one", "two", "three")
    assert len(lab.here.git("rev-list", "--parents", "-1", "HEAD").split()) == 4
    runs.append(lab.run())
    lab.publish()
    lab.expect({run: {} for run in runs})


def test_empty_commits(lab: Lab) -> None:
    """They change nothing, so nothing changes the same; what they hold is the same tree."""
    lab.commits(1, branch="topic")
    lab.here.commit("nothing")
    run = lab.run()
    lab.here.git("checkout", "--quiet", "main")
    lab.here.commit("nothing here")
    lab.here.commit("nothing, either")
    lab.publish()
    lab.expect({run: {}})


def test_another_root(lab: Lab) -> None:
    """A branch that shares nothing with main, and a cherry-pick of its first commit."""
    lab.here.git("checkout", "--quiet", "--orphan", "apart")
    lab.here.git("rm", "--quiet", "-r", "--cached", ".")
    (lab.here.path / "train.py").unlink()
    root = lab.here.commit("another beginning", {"apart.py": "a = 1\n"})
    run = lab.run()
    lab.here.commit("and on", {"on.py": "o = 1\n"})
    later = lab.run()
    lab.here.git("checkout", "--quiet", "main")
    lab.here.git("cherry-pick", root)
    lab.publish()
    lab.expect({run: {head(lab.here): "same-patch"}, later: {}})


def test_submodules(lab: Lab, tmp_path: Path) -> None:
    """A commit that moves a submodule, squashed with another."""
    library = Clone.make(tmp_path / "library")
    allowed = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "protocol.file.allow",
               "GIT_CONFIG_VALUE_0": "always"}  # fmt: skip
    lab.here.git("submodule", "--quiet", "add", str(library.path), "library", **allowed)
    lab.here.commit("a library")
    lab.here.git("checkout", "--quiet", "-b", "topic")
    newer = library.commit("newer", {"newer.py": "n = 1\n"})
    lab.here.git("-C", "library", "pull", "--quiet", **allowed)
    assert head(Clone(lab.here.path / "library")) == newer
    one = lab.here.commit("newer library")
    lab.here.commit("use it", {"use.py": "import newer\n"})
    runs = [lab.run(at=one), lab.run()]
    lab.here.git("checkout", "--quiet", "main")
    lab.here.git("submodule", "--quiet", "update")
    lab.here.commit("meanwhile", {"meanwhile.py": "y = 1\n"})
    merge = squash(lab)
    lab.publish()
    lab.expect({run: {merge: "squash"} for run in runs})


class TestUncommitted:
    def test_committed_later(self, lab: Lab) -> None:
        lab.here.write("new.py", "n = 1\n")
        lab.here.write("train.py", "print('changed')\n")
        run = lab.run()
        lab.here.git("add", "--all")
        lab.here.git("commit", "--quiet", "-m", "as it ran")
        lab.publish()
        lab.expect({run: {head(lab.here): "committed"}})

    def test_committed_on_another_branch(self, lab: Lab) -> None:
        lab.here.write("train.py", "print('changed')\n")
        run = lab.run()
        lab.here.git("checkout", "--quiet", "-b", "topic")
        lab.here.git("commit", "--quiet", "--all", "-m", "as it ran")
        made = head(lab.here)
        merge = squash(lab)
        lab.publish()
        lab.expect(
            {run: {made: "committed", merge: "committed"}}, there={run: {merge: "committed"}}
        )

    def test_committed_in_part(self, lab: Lab) -> None:
        """Without a word on what the run has read, another tree is another tree."""
        lab.here.write("train.py", "print('changed')\n")
        lab.here.write("notes.txt", "a thought\n")
        run = lab.run()
        lab.here.git("commit", "--quiet", "--all", "-m", "without the notes")
        lab.publish()
        lab.expect({run: {}})
        (page,) = prov(lab.here, ["links", run])
        assert "what it read is not known (see --trace)" in page.stdout

    def test_not_captured_whole(self, lab: Lab) -> None:
        """A tree that lacks a file is not, for sure, that of the commit."""
        lab.here.write("train.py", "print('changed')\n")
        lab.here.write("model.bin", bytes(3 << 20))
        run = lab.run()
        lab.here.git("commit", "--quiet", "-m", "without the model", "train.py")
        lab.publish()
        lab.expect({run: {head(lab.here): "same-tree"}})
        (page,) = prov(lab.here, ["links", run])
        assert "model.bin" in page.stdout

    def test_nothing_captured_differs(self, lab: Lab) -> None:
        """Only what is left out of the snapshot makes it one: no commit was made of that."""
        lab.here.write("model.bin", bytes(3 << 20))
        run = lab.run()
        lab.here.git("commit", "--quiet", "--allow-empty", "-m", "nothing")
        lab.publish()
        lab.expect({run: {}})

    def test_tree_that_was_there_before(self, lab: Lab) -> None:
        """Back at an old state without a commit: the old commit was not made of it."""
        old = lab.here.git("show", "HEAD:train.py")
        lab.here.commit("changed", {"train.py": "print('changed')\n"})
        lab.here.write("train.py", old)
        run = lab.run()
        lab.publish()
        lab.expect({run: {}})


@pytest.mark.parametrize("shape", ["bare", "blobless", "treeless", "shallow"])
def test_other_shapes_of_clones(lab: Lab, tmp_path: Path, shape: str) -> None:
    """What can be told without the missing objects is told, and nothing is fetched for it."""
    commits = lab.commits(2, branch="one")
    runs = [lab.run(at=commit) for commit in commits]
    by_tree = squash(lab, "one")
    lab.publish()
    lab.here.git("checkout", "--quiet", "-b", "two")
    for number in (1, 2):
        lab.here.commit(f"two {number}", {"train.py": f"print({number})\n"})
        runs.append(lab.run())
    main_moves_on(lab)
    by_patch = squash(lab, "two")
    lab.publish()
    lab.server.git("config", "uploadpack.allowFilter", "true")
    options = {
        "shallow": ["--depth=2"], "bare": ["--bare"],
        "blobless": ["--filter=blob:none"], "treeless": ["--filter=tree:0"],
    }[shape]  # fmt: skip
    clone = Clone.of(f"file://{lab.server.path}", tmp_path / "clone", *options)
    lab.here.git("push", "--quiet", f"file://{clone.path}", "refs/prov/ledger/*:refs/prov/ledger/*")
    lab.server.path.rename(tmp_path / "away")
    trees = {runs[0]: {}, runs[1]: {by_tree: "same-tree"}}
    patches = {runs[2]: {}, runs[3]: {by_patch: "squash"}}
    nothing = {run: {} for run in runs}
    lab.expect_in(clone, {
        "bare": {**trees, **patches}, "blobless": {**nothing, **trees},
        "treeless": {**nothing, **trees}, "shallow": {**nothing, **patches},
    }[shape])  # fmt: skip


def test_a_shallow_clone_that_is_deepened(lab: Lab, tmp_path: Path) -> None:
    """Where history is cut off, a commit seems to add all there is; that is not kept."""
    lab.commits(2, branch="topic")
    run = lab.run()
    main_moves_on(lab)
    merge = squash(lab)
    lab.publish()
    clone = Clone.of(f"file://{lab.server.path}", tmp_path / "clone", "--depth=1")
    clone.prov("pull")
    lab.expect_in(clone, {run: {}})
    clone.git("fetch", "--quiet", "--unshallow")
    lab.expect_in(clone, {run: {merge: "squash"}})


def test_a_ledger_without_the_commits(lab: Lab) -> None:
    """A rewrite is known before the new commit is here, and counts from then on."""
    lab.commits(1)
    run = lab.run()
    lab.publish()
    lab.here.git("commit", "--quiet", "--amend", "-m", "better")
    lab.exchange()
    lab.expect({run: {head(lab.here): "rewritten"}}, there={run: {}})
    lab.here.git("push", "--quiet", "--force", "origin", "main")
    lab.there.git("fetch", "--quiet", "origin")
    lab.there.git("reset", "--quiet", "--hard", "origin/main")
    lab.expect({run: {head(lab.here): "rewritten"}})
