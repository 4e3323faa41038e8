"""Makes Fixtures/: small models of each kind, rows, and what the trainers' own libraries predict for them, in bits.

Needs xgboost-cpu 3.2.0, lightgbm 4.7.0, scikit-learn 1.9.1, torch 2.13.0, safetensors 0.8.0; the tests need none of it.
"""
import pathlib
import sys

import lightgbm
import numpy as np
import pandas as pd
import torch
import xgboost
from safetensors.torch import save_file
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

here = pathlib.Path(__file__).parent
sys.path.insert(0, str(here.parent.parent / "deploy" / "train"))
from export_forest import export_forest  # noqa: E402

folder = here / "Fixtures"
folder.mkdir(exist_ok=True)
random = np.random.default_rng(7)
COUNT = 400
rows = pd.DataFrame({
    "turnover": np.round(random.lognormal(8, 1.5, COUNT), 2),
    "orders": random.poisson(30, COUNT).astype(float),
    "refund_share": np.round(random.beta(1, 8, COUNT), 4),
    "night": np.round(random.random(COUNT), 3),
    "balance": np.round(random.normal(0, 1000, COUNT), 2),
})
rows = rows.mask(random.random(rows.shape) < 0.12)
rows.loc[random.random(COUNT) < 0.2, "balance"] = 0.0
level = rows.refund_share.fillna(0.3) * 6 + rows.night.fillna(0) - rows.orders.fillna(20) / 40 + random.normal(0, 0.4, COUNT)
bad = (level > 0.4).astype(int)
grade = pd.cut(level, [-9, 0, 0.6, 99], labels=False)
rows.to_csv(folder / "rows.csv", index=False)
kinds = rows.copy()
kinds["kind"] = pd.Categorical(np.array(["shop", "market", "其他", None], dtype=object)[random.integers(0, 4, COUNT)])
kinds.to_csv(folder / "kinds.csv", index=False)
coded = rows.copy()
coded["kind"] = kinds.kind.cat.codes
coded.to_csv(folder / "codes.csv", index=False)


def bits(name, margins):
    integers = margins.view(np.uint32 if margins.dtype == np.float32 else np.uint64)
    np.savetxt(folder / f"{name}.bits", integers, "%d", delimiter=",")


def boost(name, parameters, rounds, label, data=rows, formats=("ubj",), **keywords):
    matrix = xgboost.DMatrix(data, label, **keywords)
    booster = xgboost.train({"max_depth": 4, "nthread": 1, **parameters}, matrix, rounds)
    for suffix in formats:
        booster.save_model(folder / f"{name}.{suffix}")
    bits(name, booster.predict(matrix, output_margin=True))
    return booster, matrix


logistic, matrix = boost("logistic", {"objective": "binary:logistic"}, 20, bad, formats=("ubj", "json"))
np.savetxt(folder / "logistic.contributions", logistic.predict(matrix, pred_contribs=True), "%.9g", delimiter=",")
bits("logistic-first-7", logistic.predict(matrix, output_margin=True, iteration_range=(0, 7)))
boost("dart", {"objective": "binary:logistic", "booster": "dart", "rate_drop": 0.4}, 12, bad)
boost("forest", {"objective": "binary:logistic", "num_parallel_tree": 6, "subsample": 0.6, "eta": 1}, 2, bad)
boost("logitraw", {"objective": "binary:logitraw"}, 8, bad)
boost("squared", {"objective": "reg:squarederror"}, 8, level)
boost("poisson", {"objective": "count:poisson"}, 8, rows.orders.fillna(20))
boost("classes", {"objective": "multi:softprob", "num_class": 3}, 6, grade)
boost("kinds", {"objective": "binary:logistic", "max_cat_to_onehot": 1}, 10, bad ^ (kinds.kind == "shop"), data=kinds, enable_categorical=True)


def light(name, parameters, rounds, label, data=rows, **keywords):
    model = lightgbm.train({"verbose": -1, "num_threads": 1, "min_data_in_leaf": 5, **parameters}, lightgbm.Dataset(data, label, **keywords), rounds)
    model.save_model(folder / f"{name}.txt")
    bits(name, model.predict(data, raw_score=True))


light("light", {"objective": "binary", "num_leaves": 12}, 12, bad)
light("light-zero", {"objective": "binary", "num_leaves": 8, "zero_as_missing": True}, 8, bad)
light("light-whole", {"objective": "binary", "num_leaves": 8, "use_missing": False}, 8, bad)
light("light-classes", {"objective": "multiclass", "num_class": 3, "num_leaves": 6}, 5, grade)
light("light-codes", {"objective": "binary", "num_leaves": 8, "min_data_per_group": 1, "cat_smooth": 1}, 8, bad ^ (coded.kind == 1), data=coded, categorical_feature=["kind"])
light("light-forest", {"objective": "binary", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6, "num_leaves": 8}, 8, bad)

forest = RandomForestClassifier(12, max_depth=6, random_state=1).fit(rows, bad)
export_forest(forest, rows.columns, folder / "sk-forest.json")
bits("sk-forest", np.ascontiguousarray(forest.predict_proba(rows)[:, 1]))
forest = RandomForestClassifier(6, max_depth=5, random_state=1).fit(rows, grade)
export_forest(forest, rows.columns, folder / "sk-classes.json")
bits("sk-classes", forest.predict_proba(rows))
forest = RandomForestRegressor(6, max_depth=5, random_state=1).fit(rows, level)
export_forest(forest, rows.columns, folder / "sk-mean.json")
bits("sk-mean", forest.predict(rows))


class Network(torch.nn.Module):
    def __init__(self, channels, first, second):
        super().__init__()
        self.first = torch.nn.LSTM(channels, first, batch_first=True)
        self.second = torch.nn.LSTM(first, second, batch_first=True)
        self.head = torch.nn.Linear(second, 1)

    def forward(self, x):
        return self.head(self.second(self.first(x)[0])[0][:, -1])


torch.manual_seed(5)
network = Network(3, 24, 12).eval()
with torch.no_grad():
    for parameter in network.parameters():
        parameter *= 2
save_file(network.state_dict(), folder / "lstm.safetensors")
means, deviations = np.array([100.0, 5.0, 0.2]), np.array([40.0, 2.0, 0.1])
STEPS = 10
sequences = np.round(random.normal(means, deviations, (100, STEPS, 3)), 3)
table = pd.DataFrame(sequences.reshape(100, -1), columns=[f"{c}.{s}" for s in range(STEPS) for c in ("amount", "orders", "refunds")])
table.to_csv(folder / "sequences.csv", index=False)
with torch.no_grad():
    margins = network(torch.tensor(((sequences - means) / deviations).astype(np.float32)))
np.savetxt(folder / "lstm.margins", margins.numpy(), "%.9g")
