"""Make forecaster.keras and .golden.npz from forecaster.csv; Keras 3.15.1, TensorFlow 2.21.0.

The model reads the month (1 to 12) and the sea surface temperature of the eastern Pacific (region
Nino 1+2, in degrees Celsius) and says at every step what the next month's temperature will be. The
raw columns are its input: it scales them itself. It is trained on 1950 to 1999 and judged on 2000
to 2010. README.md says where the series comes from.

Run: python make_forecaster.py
"""

from pathlib import Path

import keras
import numpy as np
from step_by_hand import received_by, step, write_golden

HERE = Path(__file__).parent
TRAINED = 50 * 12
WINDOW = 96


def main() -> None:
    keras.utils.set_random_seed(1)
    series = np.loadtxt(HERE / "forecaster.csv", np.float32, delimiter=",", skiprows=1)  # (T, F)
    known, after = series[:-1], series[1:, 1:]
    model = forecaster(series[:TRAINED])
    model.compile(keras.optimizers.Adam(0.01), "mse")
    starts = range(0, TRAINED - WINDOW, 3)
    windows = np.stack([known[k : k + WINDOW] for k in starts])
    answers = np.stack([after[k : k + WINDOW] for k in starts])
    model.fit(windows, answers, epochs=60, batch_size=32, verbose=0)
    model.save(HERE / "forecaster.keras")
    judge(model.predict(known[None], verbose=0)[0], known, after)

    x = series[None]
    arrays = {"x": x, "output": model.predict(x, verbose=0)}
    lstm = step(model.get_layer("lstm"), received_by(model, "lstm", x))
    write_golden(HERE / "forecaster.golden.npz", arrays | lstm)


def forecaster(series: np.ndarray) -> keras.Model:
    scale = keras.layers.Normalization(name="scale")
    scale.adapt(series)
    temperature = series[:, 1]
    return keras.Sequential(
        [
            keras.Input((None, 2), name="month_and_temperature"),
            scale,
            keras.layers.LSTM(8, return_sequences=True, name="lstm"),
            keras.layers.Dense(1, name="forecast"),
            keras.layers.Rescaling(
                float(temperature.std()), float(temperature.mean()), name="degrees"
            ),
        ],
        name="forecaster",
    )


def judge(forecast: np.ndarray, known: np.ndarray, after: np.ndarray) -> None:
    """Print the error from 2000 on, in degrees, beside those of two forecasts without a model."""
    month = known[:, 0].astype(int)
    usual = np.array([after[:TRAINED][month[:TRAINED] == m].mean() for m in range(1, 13)])
    rivals = {"LSTM": forecast, "as this month": known[:, 1:], "as usual": usual[month - 1, None]}
    for name, guess in rivals.items():
        error = guess[TRAINED:] - after[TRAINED:]
        print(f"{name}: root mean square error {np.sqrt(np.mean(error**2)):.3f} degrees")


if __name__ == "__main__":
    main()
