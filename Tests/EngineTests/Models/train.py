"""Trains the small models of this folder, on made-up rows. Needs numpy, pandas, xgboost (3.2), torch, safetensors:
    train.py MILLRACE
"""
import json, subprocess, sys
import numpy as np, pandas as pd, torch, xgboost as xgb
from safetensors.torch import save_file

millrace = sys.argv[1]
rng = np.random.default_rng(7)
n = 4000
kind = rng.choice(["x", "y", "z"], n)
amount = np.round(rng.uniform(1, 21, n), 2)
amount[rng.random(n) < 0.1] = np.nan
p = 1 / (1 + np.exp(-(np.nan_to_num(amount, nan=8) - 12) / 2 - (kind == "x") * 1.5))
y = (rng.random(n) < p).astype(int)
X = pd.DataFrame({"amount": amount, "kind": pd.Categorical(kind, categories=["x", "y", "z"])})
model = xgb.XGBClassifier(n_estimators=8, max_depth=3, learning_rate=0.4, tree_method="hist", enable_categorical=True)
model.fit(X, y)
model.get_booster().save_model("amounts/model.ubj")
rows = X.copy()
rows["margin"] = model.get_booster().predict(xgb.DMatrix(X, enable_categorical=True), output_margin=True).astype(str)
rows.to_csv("rows.csv", index=False)
subprocess.run([millrace, "model", "card", "amounts/model.ubj", "--rows", "rows.csv", "--name", "amounts", "--version", "2"], check=True)

torch.manual_seed(1)


class Course(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.head = torch.nn.LSTM(2, 4, batch_first=True), torch.nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.first(x)[0][:, -1])


net = Course()
save_file({k: v.contiguous() for k, v in net.state_dict().items()}, "course/model.safetensors")
mean, sd = np.array([3.0, 10.0]), np.array([2.0, 6.0])
steps = 3
x = np.round(rng.uniform(0, 20, (40, steps, 2)), 2)
with torch.no_grad():
    margins = net(torch.tensor(((x - mean) / sd).astype(np.float32))).numpy()
card = {
    "name": "course", "version": "1", "format": "lstm-safetensors", "file": "model.safetensors", "sha256": "",
    "features": [{"name": "orders"}, {"name": "amount"}],
    "network": {
        "steps": steps,
        "channels": [{"name": c, "mean": m, "sd": s} for c, m, s in zip(["orders", "amount"], mean, sd)],
        "layers": [{"name": "first", "units": 4}], "head": {"name": "head", "units": 2, "kind": "forecast"}},
    "samples": [{"features": ["1"] * 6, "margins": [0, 0]}]}
json.dump(card, open("draft.json", "w"))
with open("sequences.csv", "w") as f:
    f.write(",".join(f"{c}.{s}" for s in range(steps) for c in ["orders", "amount"]) + ",margin.0,margin.1\n")
    for row, m in zip(x, margins):
        f.write(",".join(str(v) for v in row.reshape(-1)) + "," + ",".join(str(v) for v in m) + "\n")
subprocess.run([millrace, "model", "card", "course/model.safetensors", "--rows", "sequences.csv", "--card", "draft.json"], check=True)
for name in ["rows.csv", "sequences.csv", "draft.json"]:
    subprocess.run(["rm", name], check=True)
