"""Train the study's Keras model on scikit-learn's digits; write the model and the data.

Run in this folder, with the extra ``tensorflow`` installed::

    python train.py
"""

import json
from pathlib import Path

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

FOLDER = Path(__file__).parent
TRAIN_ROWS, CALIBRATION_ROWS, SEARCH_ROWS = 672, 128, 397
WIDTH, EPOCHS, BATCH = 24, 60, 32


def build_model() -> keras.Model:
    """Maps float32 images ``[N, 8, 8, 1]`` in [0, 1] to float32 logits ``[N, 10]``."""
    image = keras.Input((8, 8, 1), name="image")
    x = image
    for width, stride in ((WIDTH, 1), (2 * WIDTH, 2), (4 * WIDTH, 2)):
        x = layers.Conv2D(width, 3, strides=stride, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        x = layers.ReLU()(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.2)(x)
    return keras.Model(image, layers.Dense(10, name="logits")(x), name="digits")


def split() -> dict[str, dict[str, np.ndarray]]:
    """Disjoint rows, drawn once with a fixed seed; what the first three leave is ``confirm``."""
    digits = load_digits()
    images = (digits.images[..., None] / 16).astype(np.float32)
    labels = digits.target.astype(np.int64)
    order = np.random.default_rng(0).permutation(len(labels))
    ends = np.cumsum([TRAIN_ROWS, CALIBRATION_ROWS, SEARCH_ROWS])
    names = ("train", "calibration", "search", "confirm")
    return {
        name: {"image": images[rows], "labels": labels[rows]}
        for name, rows in zip(names, np.split(order, ends), strict=True)
    }


def shifted(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Move each image by up to one pixel in either direction."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    moved = [
        image[top : top + 8, left : left + 8]
        for image, (top, left) in zip(padded, rng.integers(0, 3, (len(images), 2)), strict=True)
    ]
    return np.stack(moved)


def train(splits: dict[str, dict[str, np.ndarray]]) -> keras.Model:
    model = build_model()
    images, labels = splits["train"]["image"], splits["train"]["labels"]
    steps = EPOCHS * -(-len(labels) // BATCH)
    model.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, steps)),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    rng = np.random.default_rng(0)
    for _ in range(EPOCHS):
        model.fit(shifted(images, rng), labels, batch_size=BATCH, verbose=0)
    return model


def accuracy(model: keras.Model, arrays: dict[str, np.ndarray]) -> float:
    scores = model.predict(arrays["image"], verbose=0)
    return float((scores.argmax(axis=1) == arrays["labels"]).mean())


def main() -> None:
    keras.utils.set_random_seed(0)
    splits = split()
    np.savez_compressed(
        FOLDER / "data.npz",
        **{f"{s}/{name}": array for s, arrays in splits.items() for name, array in arrays.items()},
    )
    model = train(splits)
    # Without the optimizer's state, which nothing here needs, the file is a third.
    keras.Model(model.inputs, model.outputs, name=model.name).save(FOLDER / "model.keras")
    found = {
        "parameters": model.count_params(),
        "rows": {name: len(arrays["labels"]) for name, arrays in splits.items()},
        "accuracy": {name: accuracy(model, splits[name]) for name in ("search", "confirm")},
    }
    (FOLDER / "training.json").write_text(json.dumps(found) + "\n")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
