"""Trains a model on what `millrace replay --features` wrote, and writes model, card and a report into a folder.

    train.py risk FEATURES.csv FOLDER --name default-risk     boosted trees: label (0 or 1), features; a row a loan
    train.py forest FEATURES.csv FOLDER --name default-risk   a forest of scikit-learn instead
    train.py course FEATURES.csv FOLDER --name trade-course   an LSTM that forecasts the last step of `sequence`

risk and forest: cross validation goes forward in time (what was labelled by the beginning of a block, less --horizon, is
trained on) and by merchant (none is on both sides); the margins that it gave for rows it had not seen calibrate the score.
"""
import argparse, json, os, pathlib, subprocess, sys
import numpy as np, pandas as pd

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("kind", choices=["risk", "forest", "course"])
parser.add_argument("features")
parser.add_argument("folder")
parser.add_argument("--name", required=True)
parser.add_argument("--version", default="1")
parser.add_argument("--label", default="label")
parser.add_argument("--key", default="merchant_id")
parser.add_argument("--time", default="as_of")
parser.add_argument("--leave-out", default="", help="columns that are no features, with commas")
parser.add_argument("--horizon", type=int, default=0, help="days until a label is known")
parser.add_argument("--folds", type=int, default=5)
parser.add_argument("--trees", type=int, default=60)
parser.add_argument("--depth", type=int, default=3)
parser.add_argument("--channels", default="", help="course: names of the sequence's fields, with commas")
parser.add_argument("--units", default="16,8", help="course: units of the layers")
parser.add_argument("--epochs", type=int, default=40)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--millrace", default="millrace")
args = parser.parse_args()
os.makedirs(args.folder, exist_ok=True)
report = [f"# {args.name} {args.version}", "", f"`{' '.join(sys.argv)}`", ""]


def fail(text):
    sys.exit(f"train.py: {args.features}: {text}")


def read():
    try:
        data = pd.read_csv(args.features, keep_default_na=True)
    except (OSError, pd.errors.EmptyDataError) as error:
        fail(error)
    if data.empty:
        fail("no rows")
    return data


def card(file, rows, draft):
    rows.to_csv(f"{args.folder}/rows.csv", index=False)
    json.dump(draft, open(f"{args.folder}/draft.json", "w"))
    command = [args.millrace, "model", "card", f"{args.folder}/{file}", "--rows", f"{args.folder}/rows.csv", "--card", f"{args.folder}/draft.json"]
    try:
        subprocess.run(command, check=True)
        subprocess.run([args.millrace, "model", "check", args.folder], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"train.py: {error}")
    finally:
        for name in ["rows.csv", "draft.json"]:
            pathlib.Path(f"{args.folder}/{name}").unlink()
    pathlib.Path(f"{args.folder}/report.md").write_text("\n".join(report) + "\n")


def draft(format, file, features, **more):
    # The samples are written anew; a card needs one to be read.
    return {"name": args.name, "version": args.version, "format": format, "file": file, "sha256": "", "features": features,
            "samples": [{"features": [], "margins": []}], **more}


def psi(a, b):
    cuts = np.unique(np.nanquantile(a, np.linspace(0.1, 0.9, 9)))
    share = lambda x: np.maximum(np.append(np.bincount(np.digitize(x[~np.isnan(x)], cuts), minlength=len(cuts) + 1), np.isnan(x).sum()) / len(x), 1e-4)
    p, q = share(a), share(b)
    return float(((q - p) * np.log(q / p)).sum())


def train_trees():
    import xgboost as xgb
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import brier_score_loss, roc_auc_score, roc_curve

    data = read()
    for column in [args.label, args.key, args.time]:
        if column not in data:
            fail(f"no column '{column}'; there is {', '.join(data.columns)}")
    known = data[args.label].notna() if "features_at" not in data else data[args.label].notna() & data["features_at"].notna()
    if (~known).any():
        report.append(f"{int((~known).sum())} rows without a label or features are left out.\n")
    data = data[known].copy()
    times = data[args.time]
    data["_time"] = pd.to_datetime(times, unit="ms", utc=True) if pd.api.types.is_numeric_dtype(times) else pd.to_datetime(times, utc=True)
    data = data.sort_values("_time", kind="stable").reset_index(drop=True)
    y = data[args.label].astype(int).to_numpy()
    if set(y) != {0, 1}:
        fail(f"{args.label} is to be 0 and 1, and is {sorted(set(y.tolist()))}")
    left_out = {args.label, args.key, args.time, "_time", "features_at", *args.leave_out.split(",")}
    names = [c for c in data.columns if c not in left_out and data[c].dtype.kind in "ifb"]
    X = data[names].astype(float)
    report.append(f"{len(y)} rows, {int(y.sum())} bad ({y.mean():.1%}), {data['_time'].min():%Y-%m-%d} to {data['_time'].max():%Y-%m-%d}.\n")
    warnings = [f"`{c}` is left out: no number" for c in data.columns if c not in left_out and c not in names]
    for c in list(names):
        values = X[c]
        if values.nunique() < 2:
            warnings.append(f"`{c}` is the same everywhere")
            continue
        seen = values.notna().to_numpy()
        if len(set(y[seen])) == 2:
            auc = roc_auc_score(y[seen], values[seen])
            if max(auc, 1 - auc) > 0.85:
                warnings.append(f"`{c}` alone has an AUC of {max(auc, 1 - auc):.3f}: does it know the outcome?")
        half = len(values) // 2
        moved = psi(values[:half].to_numpy(), values[half:].to_numpy())
        if moved > 0.25:
            warnings.append(f"`{c}` moved from the first half to the second: PSI {moved:.2f}")

    def new():
        if args.kind == "forest":
            return RandomForestClassifier(n_estimators=args.trees, max_depth=args.depth, random_state=args.seed, n_jobs=1)
        return xgb.XGBClassifier(
            n_estimators=args.trees, max_depth=args.depth, learning_rate=0.1, subsample=0.8, random_state=args.seed, n_jobs=1)

    def margin(model, rows):
        if args.kind == "forest":
            return model.predict_proba(rows)[:, 1]
        return model.get_booster().predict(xgb.DMatrix(rows), output_margin=True).astype(float)

    # Forward in time: the first block is only trained on.
    blocks = np.array_split(np.arange(len(y)), args.folds + 1)
    seen, margins, folds = [], [], []
    for block in blocks[1:]:
        before = data["_time"] < data["_time"][block[0]] - pd.Timedelta(days=args.horizon)
        train = np.flatnonzero(before & ~data[args.key].isin(set(data[args.key][block])))
        if len(set(y[train])) < 2 or len(set(y[block])) < 2:
            warnings.append(f"the fold from {data['_time'][block[0]]:%Y-%m-%d} has one outcome only, and is left out")
            continue
        found = margin(new().fit(X.iloc[train], y[train]), X.iloc[block])
        seen.append(block)
        margins.append(found)
        folds.append((data["_time"][block[0]], len(train), len(block), roc_auc_score(y[block], found)))
    if not folds:
        fail("no fold has both outcomes on both sides; more rows are needed")
    seen, margins = np.concatenate(seen), np.concatenate(margins)
    platt = LogisticRegression(C=1e6).fit(margins.reshape(-1, 1), y[seen])
    a, b = -float(platt.coef_[0][0]), -float(platt.intercept_[0])
    scores = 1 / (1 + np.exp(a * margins + b))
    low, high, _ = roc_curve(y[seen], margins)
    report.extend(["| fold from | trained on | rows | AUC |", "|---|---|---|---|"])
    report.extend(f"| {t:%Y-%m-%d} | {n} | {k} | {auc:.3f} |" for t, n, k, auc in folds)
    aucs = [f[3] for f in folds]
    report.append(
        f"\nAUC {np.mean(aucs):.3f} ± {np.std(aucs):.3f}; KS {np.max(high - low):.3f}; Brier {brier_score_loss(y[seen], scores):.4f} "
        f"(always the mean: {y[seen].mean() * (1 - y[seen].mean()):.4f}), of rows that the model had not seen.\n")
    report.extend(["| score | rows | mean score | bad |", "|---|---|---|---|"])
    for part in np.array_split(np.argsort(scores), min(5, len(scores))):
        report.append(f"| {scores[part].min():.3f} to {scores[part].max():.3f} | {len(part)} | {scores[part].mean():.3f} | {y[seen][part].mean():.3f} |")
    model = new().fit(X, y)
    file = "forest.json" if args.kind == "forest" else "model.ubj"
    if args.kind == "forest":
        sys.path.insert(0, str(pathlib.Path(__file__).parent))
        from export_forest import export_forest
        export_forest(model, names, f"{args.folder}/{file}")
    else:
        model.get_booster().save_model(f"{args.folder}/{file}")
    report.extend(["", "| feature | importance |", "|---|---|"])
    report.extend(f"| {names[i]} | {model.feature_importances_[i]:.3f} |" for i in np.argsort(-model.feature_importances_))
    if warnings:
        report.extend(["", "Warnings:", ""] + [f"- {w}" for w in warnings])
        for w in warnings:
            print("train.py: warning:", w, file=sys.stderr)
    rows = X.copy()
    if args.kind == "risk":
        rows["margin"] = model.get_booster().predict(xgb.DMatrix(X), output_margin=True).astype(str)
    more = {"calibration": {"kind": "platt", "a": a, "b": b}}
    card(file, rows, draft("forest-json" if args.kind == "forest" else "xgboost-ubj", file, [{"name": c} for c in names], **more))


def train_course():
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    data = read()
    if "sequence" not in data:
        fail(f"no column 'sequence'; there is {', '.join(data.columns)}")
    texts = data["sequence"].dropna()
    if texts.empty:
        fail("every sequence is null")
    values = np.array([[[np.nan if v is None else v for v in row] for row in json.loads(t)] for t in texts], dtype=float)
    channels = args.channels.split(",")
    if len(channels) != values.shape[2]:
        fail(f"--channels names {len(channels)}, and a row of the sequences has {values.shape[2]}")
    cut = int(len(values) * 0.8)
    mean, sd = np.nanmean(values[:cut], axis=(0, 1)), np.nanstd(values[:cut], axis=(0, 1))
    if not (sd > 0).all():
        fail("a channel is the same everywhere")
    scaled = np.nan_to_num((values - mean) / sd, nan=0).astype(np.float32)
    steps = scaled.shape[1] - 1
    units = [int(u) for u in args.units.split(",")]

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            sizes = [len(channels)] + units
            for place, (i, o) in enumerate(zip(sizes, units)):
                setattr(self, f"lstm{place}", torch.nn.LSTM(i, o, batch_first=True))
            self.head = torch.nn.Linear(units[-1], len(channels))

        def forward(self, x):
            for place in range(len(units)):
                x = getattr(self, f"lstm{place}")(x)[0]
            return self.head(x[:, -1])

    net, x = Net(), torch.tensor(scaled)
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    for epoch in range(args.epochs):
        for part in torch.randperm(cut).split(256):
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(net(x[part, :-1]), x[part, -1]).backward()
            optimizer.step()
    with torch.no_grad():
        forecast = net(x[:, :-1])
    distance = ((forecast - x[:, -1]) ** 2).mean(dim=1).sqrt().numpy()
    level = float(((x[cut:, -1] - x[cut:, :-1].mean(dim=1)) ** 2).mean())
    report.append(
        f"{len(values)} sequences of {steps} steps, the last fifth not trained on: mean square error {float((distance[cut:] ** 2).mean()):.3f}, of the "
        f"mean of the steps before {level:.3f}. Distance: median {np.median(distance[cut:]):.2f}, 99 % below {np.quantile(distance[cut:], 0.99):.2f}.\n")
    save_file({k: v.contiguous() for k, v in net.state_dict().items()}, f"{args.folder}/model.safetensors")
    os.chmod(f"{args.folder}/model.safetensors", 0o644)
    sample = values[:20, :-1]
    rows = pd.DataFrame(sample.reshape(len(sample), -1), columns=[f"{c}.{s}" for s in range(steps) for c in channels])
    for place in range(len(channels)):
        rows[f"margin.{place}"] = forecast[:20, place].numpy().astype(str)
    network = {"steps": steps, "channels": [{"name": c, "mean": float(m), "sd": float(s)} for c, m, s in zip(channels, mean, sd)],
               "layers": [{"name": f"lstm{p}", "units": u} for p, u in enumerate(units)], "head": {"name": "head", "units": len(channels), "kind": "forecast"}}
    card("model.safetensors", rows, draft("lstm-safetensors", "model.safetensors", [{"name": c} for c in channels], network=network))


train_course() if args.kind == "course" else train_trees()
