"""Names: every spelling that people use, the nearest names for the others, and the catalogue."""

import subprocess
import sys

import gymnasium
import pytest

from rlrun.envs import UnknownWorld, WorldError, human_normalised, make, reference_scores, trainable
from rlrun.envs.atari_names import game_id, game_name, rom_name, roms
from rlrun.envs.catalogue import find
from rlrun.envs.gym_names import KNOWN


@pytest.mark.parametrize(
    ("spelling", "rom"),
    [
        ("Breakout", "breakout"),
        ("breakout", "breakout"),
        (" BREAKOUT ", "breakout"),
        ("ms_pacman", "ms_pacman"),
        ("MsPacman", "ms_pacman"),
        ("Ms. Pacman", "ms_pacman"),
        ("ms-pacman", "ms_pacman"),
        ("ALE/Pong-v5", "pong"),
        ("ale/pong", "pong"),
        ("Pong-v5", "pong"),
        ("Pong-v4", "pong"),
        ("PongNoFrameskip-v4", "pong"),
        ("PongDeterministic-v4", "pong"),
        ("Up'n Down", "up_n_down"),
        ("TicTacToe3D", "tic_tac_toe_3d"),
        ("Q*bert", "qbert"),
    ],
)
def test_every_usual_spelling_of_a_game_finds_it(spelling: str, rom: str) -> None:
    assert rom_name(spelling) == rom
    assert find(spelling) == ("atari", rom)


@pytest.mark.parametrize("spelling", ["Pong-ram-v4", "Pong-ramNoFrameskip-v4", "", "ALE/", "combat", "CartPole-v1"])
def test_what_is_no_game_for_one_player_on_a_screen_is_not_found(spelling: str) -> None:
    assert rom_name(spelling) is None


def test_names_and_ids_are_those_of_gymnasium_and_find_their_game_again() -> None:
    import ale_py

    gymnasium.register_envs(ale_py)
    for rom in roms():
        assert gymnasium.spec(game_id(rom)).kwargs["game"] == rom
        assert rom_name(game_id(rom)) == rom_name(game_name(rom)) == rom
    assert len(roms()) >= 57


@pytest.mark.parametrize(
    ("spelling", "id"),
    [
        ("CartPole-v1", "CartPole-v1"),
        ("CartPole-v0", "CartPole-v0"),
        ("cartpole", "CartPole-v1"),
        ("Cart Pole", "CartPole-v1"),
        ("lunar_lander", "LunarLander-v3"),
        ("FrozenLake8x8", "FrozenLake8x8-v1"),
        ("Blackjack-v1", "Blackjack-v1"),  # also a cartridge, but the exact id wins
    ],
)
def test_gymnasium_ids_are_found_loosely_and_in_the_newest_version(spelling: str, id: str) -> None:
    assert find(spelling) == ("gym", id)


def test_a_name_that_two_answer_to_means_the_game() -> None:
    assert find("blackjack") == ("atari", "blackjack")


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("Brekout", r"unknown environment 'Brekout'; did you mean Breakout, \w+ or \w+\?"),
        ("ALE/Brekout-v5", r"did you mean Breakout, "),
        ("pacmn", r"did you mean (Pacman, MsPacman|MsPacman, Pacman)"),
        ("LunarLander-v2", "did you mean LunarLander-v3, "),
        ("CartPole-v7", "did you mean CartPole-v1"),
        ("kartpole", "did you mean CartPole-v1"),
        ("Pong-ram-v4", "did you mean Pong"),
        ("", "unknown environment ''; `rlrun envs` lists"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(wanted: str, message: str) -> None:
    with pytest.raises(UnknownWorld, match=message) as caught:
        make(wanted)
    assert isinstance(caught.value, WorldError)
    assert isinstance(caught.value, ValueError)


def test_a_world_that_a_person_registered_is_offered_too() -> None:
    gymnasium.register("Zyzzyva-v3", entry_point="somewhere:Zyzzyva")
    try:
        with pytest.raises(UnknownWorld, match="did you mean Zyzzyva-v3"):
            find("zyzzyvas")
    finally:
        del gymnasium.registry["Zyzzyva-v3"]


def test_the_catalogue_lists_each_trainable_environment_once_by_an_id_that_make_takes() -> None:
    entries = trainable()
    ids = [entry.id for entry in entries]
    assert len(set(ids)) == len(ids)
    assert {"ALE/Breakout-v5", "CartPole-v1", "Taxi-v4"} <= set(ids)
    assert not {"Pendulum-v1", "ALE/Combat-v5"} & set(ids)
    assert all(entry.kind and entry.description and "\n" not in entry.description for entry in entries)
    for entry in entries:
        assert find(entry.id).kind == (entry.kind if entry.kind in ("atari", "waterworld") else "gym")


@pytest.mark.filterwarnings("ignore:.*out of date")
def test_the_catalogue_misses_nothing_of_gymnasiums_that_fits() -> None:
    for spec in list(gymnasium.registry.values()):
        entry = str(spec.entry_point)
        if not entry.startswith(("gymnasium.envs.classic_control", "gymnasium.envs.toy_text")):
            continue
        try:
            make(spec.id).close()
        except WorldError:
            assert spec.id not in KNOWN
        else:
            assert spec.id in KNOWN or spec.id == "CartPole-v0"  # the same world with an older cap


def test_scores_are_normalised_between_random_and_human_play() -> None:
    assert human_normalised("Breakout", 1.7) == pytest.approx(0.0)
    assert human_normalised("ALE/Breakout-v5", 30.5) == pytest.approx(1.0)
    assert human_normalised("BreakoutNoFrameskip-v4", 1.7 + 2 * 28.8) == pytest.approx(2.0)
    assert human_normalised("pong", -20.7) == pytest.approx(0.0)
    assert human_normalised("CartPole-v1", 500.0) is None


def test_reference_scores_stand_beside_all_57_games_and_no_others() -> None:
    assert reference_scores("breakout") == {"random": 1.7, "human": 30.5, "dqn": 401.2, "rainbow": 417.5}
    assert reference_scores("Surround").keys() == {"random", "human", "rainbow"}  # no DQN score was published
    assert reference_scores("Tetris") == {}
    assert sum(bool(reference_scores(rom)) for rom in roms()) == 57
    reference_scores("breakout").clear()
    assert reference_scores("breakout")


def test_importing_the_package_is_cheap_and_never_loads_torch() -> None:
    code = """
import sys
import rlrun.envs
assert not {"numpy", "gymnasium", "ale_py"} & set(sys.modules)
world = rlrun.envs.make("CartPole-v1")
world.reset()
rlrun.envs.human_normalised("pong", 0.0)
assert "ale_py.vector_env" not in sys.modules and "torch" not in sys.modules
rlrun.envs.make("pong")
assert "torch" not in sys.modules
try:
    rlrun.envs.nothing
except AttributeError as error:
    print(error)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (result.stdout, result.stderr) == ("module 'rlrun.envs' has no attribute 'nothing'\n", "")
    assert set(__import__("rlrun.envs").envs.__all__) <= set(dir(__import__("rlrun.envs").envs)) | {
        "Screen",
        "World",
        "human_normalised",
        "make",
        "make_screen",
        "reference_scores",
        "trainable",
    }


@pytest.mark.parametrize(
    ("name", "title"), [("ms pacman", "MsPacman"), ("cartpole", "CartPole-v1"), ("worlds:Maze", "worlds:Maze")]
)
def test_a_world_has_a_title_for_the_screen(name: str, title: str) -> None:
    assert find(name).title == title
