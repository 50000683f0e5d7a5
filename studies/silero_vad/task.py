"""Speech told from music, frame by frame: the audio of this study, from two Debian packages.

The model reads consecutive frames and carries its state from one to the next within a call, so
that a call is a window of :data:`WINDOW` frames and starts from a state of zeros.
"""

import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

SOUNDS = Path("/usr/share/asterisk")
PACKAGES = ("asterisk-core-sounds-en-wav", "asterisk-moh-opsound-wav")
FRAME, CONTEXT, WINDOW = 512, 64, 64
WINDOWS = {"calibration": 24, "search": 120, "confirm": 200}
SEGMENT_S = (2.0, 5.0)
RATE = 16_000
QUIET_DB, MUSIC_BELOW_SPEECH_DB = 40.0, 15.0


def read_wav(path: Path) -> np.ndarray:
    """Samples in [-1, 1], float32, at 16 kHz; the packages hold 16-bit mono at 8 kHz."""
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        factor = RATE // file.getframerate()
    return resample_poly(samples.astype(np.float32) / 32768, factor, 1)


def whole_frames(samples: np.ndarray) -> np.ndarray:
    return samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)


def is_speech(frames: np.ndarray) -> np.ndarray:
    """Frames of a spoken prompt within :data:`QUIET_DB` of its loud ones; the others are pauses."""
    power_db = 10 * np.log10((frames**2).mean(axis=1) + 1e-12)
    return power_db > np.percentile(power_db, 95) - QUIET_DB


def speech(prompts: list[Path], music: np.ndarray, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Prompts, until they last long enough, over quiet music; takes them off the list."""
    parts, active = [], []
    while sum(map(len, parts)) * FRAME < seconds * RATE:
        parts.append(whole_frames(read_wav(prompts.pop())))
        active.append(is_speech(parts[-1]))
    voice = np.concatenate(parts)
    behind = np.resize(music, voice.size).reshape(voice.shape)
    gain = np.sqrt((voice**2).mean() / ((behind**2).mean() + 1e-12))
    return voice + 10 ** (-MUSIC_BELOW_SPEECH_DB / 20) * gain * behind, np.concatenate(active)


def segments(
    prompts: list[Path], tunes: list[np.ndarray], rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Speech and music in turn, frames ``[n, 512]`` and whether each is speech ``[n]``."""
    while True:
        for spoken in (True, False):
            seconds = float(rng.uniform(*SEGMENT_S))
            tune = tunes[rng.integers(len(tunes))]
            if spoken:
                yield speech(prompts, tune, seconds)
            else:
                start = rng.integers(max(len(tune) - int(seconds * RATE), 1))
                music = whole_frames(tune[start : start + int(seconds * RATE)])
                yield music, np.zeros(len(music), bool)


def windows(
    count: int, prompts: list[Path], tunes: list[np.ndarray], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """``count`` windows one after the other, each frame led by the end of the one before."""
    frames, labels, length = [], [], 0
    for part, spoken in segments(prompts, tunes, rng):
        frames.append(part)
        labels.append(spoken)
        length += len(part)
        if length >= count * WINDOW:
            break
    audio = np.concatenate(frames)[: count * WINDOW].astype(np.float32)
    before = np.concatenate([np.zeros((1, CONTEXT), np.float32), audio[:-1, -CONTEXT:]])
    return {
        "input": np.concatenate([before, audio], axis=1),
        "labels": np.concatenate(labels)[: count * WINDOW].astype(np.int64),
    }


def load_data() -> dict[str, dict[str, np.ndarray]]:
    """Splits share no prompt, and no second of a tune."""
    prompts = sorted((SOUNDS / "sounds/en_US_f_Allison").glob("*.wav"))
    tunes = sorted((SOUNDS / "moh").glob("*.wav"))
    if not prompts or not tunes:
        raise FileNotFoundError(
            f"no sounds in {SOUNDS}; install them with: apt-get install {' '.join(PACKAGES)}"
        )
    rng = np.random.default_rng(0)
    rng.shuffle(prompts)
    shares = np.cumsum(list(WINDOWS.values())) / sum(WINDOWS.values())
    music = [read_wav(tune) for tune in tunes]
    splits, start = {}, 0.0
    for (split, count), end in zip(WINDOWS.items(), shares, strict=True):
        own = [tune[int(start * len(tune)) : int(end * len(tune))] for tune in music]
        of_split = prompts[int(start * len(prompts)) : int(end * len(prompts))]
        splits[split] = windows(count, of_split, own, rng)
        start = end
    return splits
