"""Three graphs as one session, in ONNX Runtime.

There is no card here: for one the driver is made up, and the CPU's provider has its place.
"""

from pathlib import Path

import msgspec
import numpy as np
import onnxruntime
import pytest

from deployopt.core.drawing import DECODER, GRAPHS, UNET
from deployopt.core.errors import DeviceError, IntegrityError, RefusedInputError
from deployopt.core.samples import Array
from deployopt.core.workload import Workload
from deployopt.device import card_session, placement
from deployopt.device.card_session import CardSession
from deployopt.device.drawing.files import graph_files, is_pipeline, read_drawing
from deployopt.device.drawing.loop import Drawn
from deployopt.device.drawing.noise import normal_noise, seed_of
from deployopt.device.drawing.schedule import course_of, one_step
from deployopt.device.drawing.session import DrawingSession, open_drawing
from deployopt.device.inputs import feeds
from deployopt.device.session import open_session, spent_of
from deployopt.device.setup import Setup
from tests.fakes.drawing_graphs import DRAWS, INPUTS, TABLE, write_graphs, write_words


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(artifact="d", model=write_graphs(tmp_path / "model"), threads=1)


def request(folder: Path, prompt: str = "b c") -> dict[str, Array]:
    write_words(folder)
    (found,) = feeds(DRAWS, folder, [prompt], Workload())
    return dict(found)


def test_a_request_is_ids_and_the_prompts_own_noise(tmp_path: Path) -> None:
    asked = request(tmp_path, "b c d e")
    assert asked["input_ids"].tolist() == [[1, 2, 3]]
    assert asked["negative_ids"].tolist() == [[0, 0, 0]]
    np.testing.assert_array_equal(asked["noise"][0], normal_noise(seed_of("b c d e"), (3, 4, 6)))


def test_it_draws_what_the_graphs_say(setup: Setup, tmp_path: Path) -> None:
    session = open_session(setup)
    assert isinstance(session, DrawingSession)
    assert [one.name for one in session.get_outputs()] == ["image", "seconds"]
    asked = request(tmp_path)
    image, seconds = session.run(None, asked)
    course, sample = course_of(INPUTS.schedule, INPUTS.steps), asked["noise"]
    away, towards = (float(TABLE[ids].mean()) for ids in ([0, 0, 0], [1, 2, 0]))
    led = away + INPUTS.guidance * (towards - away)
    for timestep in course.timesteps:
        sample = one_step(course, timestep, sample, np.float32(0.1) * sample + np.float32(led))
    wanted = np.clip(sample / 0.5, -1, 1).repeat(2, axis=2).repeat(2, axis=3)
    np.testing.assert_allclose(image, wanted, atol=1e-4)
    assert seconds.shape == (3,)
    assert (seconds > 0).all()
    # The UNet is asked twenty times.
    assert seconds[1] == max(seconds)


def test_only_what_is_asked_for_is_given(setup: Setup, tmp_path: Path) -> None:
    session = open_drawing(setup)
    (image,) = session.run(["image"], request(tmp_path))
    again = session.draw(request(tmp_path), Drawn(steps=INPUTS.steps, guidance=INPUTS.guidance))
    np.testing.assert_array_equal(image, again)
    other = session.draw(request(tmp_path), Drawn(steps=5, guidance=1.0))
    assert not np.allclose(image, other)


def test_it_gives_signs_of_life_from_within(setup: Setup, tmp_path: Path) -> None:
    signs: list[int] = []
    session = open_session(setup, lambda: signs.append(1))
    session.run(["image"], request(tmp_path))
    assert len(signs) == INPUTS.steps + 2


def test_a_request_without_noise(setup: Setup, tmp_path: Path) -> None:
    asked = request(tmp_path)
    del asked["noise"]
    with pytest.raises(DeviceError, match="no array 'noise'"):
        open_drawing(setup).run(None, asked)


def test_a_graph_that_is_missing_or_is_none(setup: Setup) -> None:
    (setup.model.parent / DECODER).unlink()
    with pytest.raises(IntegrityError, match=f"has no {DECODER}"):
        open_drawing(setup)
    (setup.model.parent / DECODER).write_bytes(b"no graph")
    with pytest.raises(RefusedInputError, match="is not an ONNX file"):
        open_drawing(setup)


def test_settings_that_are_none(setup: Setup) -> None:
    written = setup.model.read_bytes()
    setup.model.write_bytes(written.replace(b'"steps": 20', b'"steps": "many"'))
    with pytest.raises(IntegrityError, match="steps"):
        open_drawing(setup)
    setup.model.write_bytes(b" " * (2**20 + 1))
    with pytest.raises(IntegrityError):
        read_drawing(setup.model)
    setup.model.unlink()
    with pytest.raises(IntegrityError, match="is not there"):
        read_drawing(setup.model)


def test_the_files_of_a_pipeline(setup: Setup) -> None:
    assert is_pipeline(setup.model)
    assert not is_pipeline(setup.model.with_name("genai_config.json"))
    assert [path.name for path in graph_files(setup.model)] == list(GRAPHS)
    data = setup.model.with_name(f"{UNET}.data")
    data.write_bytes(b"")
    assert data in graph_files(setup.model)


def test_settings_go_round(setup: Setup) -> None:
    assert read_drawing(setup.model).inputs == INPUTS
    assert msgspec.structs.replace(INPUTS, steps=3) != INPUTS


@pytest.fixture
def on_card(setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setup:
    """The pipeline for a card; the CPU's provider answers as if it were one's."""
    there = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: there)
    monkeypatch.setattr(card_session, "driver_missing", lambda: None)
    monkeypatch.setattr(card_session, "_providers", lambda _: [("CPUExecutionProvider", {})])
    monkeypatch.setattr(card_session, "CARD_PROVIDERS", {"cuda": "CPUExecutionProvider"})
    monkeypatch.setattr(card_session, "_PLACE", "cpu")
    return msgspec.structs.replace(setup, provider="cuda")


def test_a_cards_pipeline_is_not_opened_without_one(setup: Setup) -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("there may be a card")
    with pytest.raises(DeviceError, match=r"graph for an NVIDIA card \(CUDAExecutionProvider\)"):
        open_session(msgspec.structs.replace(setup, provider="cuda"))


def test_on_a_card_every_part_is_bound_and_looked_at(
    on_card: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placement, "CPU", "the other one")
    looked: list[bytes] = []
    read = placement.read_placement

    def reading(profile: bytes) -> object:
        looked.append(profile)
        return read(profile)

    monkeypatch.setattr(card_session, "read_placement", reading)
    session = open_session(on_card)
    assert isinstance(session, DrawingSession)
    assert all(isinstance(one, CardSession) for one in session._graphs.values())
    asked = request(tmp_path)
    assert spent_of(session).copied_share is None
    (image,) = session.run(["image"], asked)
    # Once a part, though the UNet is asked twenty times; copies of all three are one sum.
    assert len(looked) == len(GRAPHS)
    share = spent_of(session).copied_share
    assert share is not None
    assert 0 < share < 1
    on_cpu = open_session(msgspec.structs.replace(on_card, provider="cpu"))
    assert np.array_equal(image, on_cpu.run(["image"], asked)[0])


def test_a_part_that_falls_back_is_named_with_its_nodes(
    on_card: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placement, "SMALL", 1)
    read = placement.read_placement

    def one_on_the_card(profile: bytes) -> object:
        """The first node of each part; the others are where the CPU's provider put them."""
        first, *others = read(profile)
        return (msgspec.structs.replace(first, provider="CUDAExecutionProvider"), *others)

    monkeypatch.setattr(card_session, "read_placement", one_on_the_card)
    session = open_drawing(on_card)
    for part in session._graphs.values():
        monkeypatch.setattr(part, "_provider", "CUDAExecutionProvider")
    # The text encoder has one node; of the UNet's five the others fell back.
    with pytest.raises(DeviceError, match=rf"^{UNET}: 4 of 5 nodes ran on the CPU.*ReduceMean"):
        session.run(["image"], request(tmp_path))
