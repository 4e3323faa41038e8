#!/usr/bin/env python3
"""Turns the Berka data (PKDD'99: loan.asc, trans.asc, order.asc, plain or .gz) into JSON lines for berka.yaml.

usage: berka.py FOLDER OUT

Dates have no time of day. A loan is taken as paid out to its account at midnight; the transactions of a day follow from
08:00 on, a second apart, in the order of the file. Money that comes in is from `outside`, money drawn goes to `cash`,
what has no partner to `bank`, and the rest to `BANK:ACCOUNT`. A partner's kind is the purpose of the standing orders to it.
"""
import csv
import gzip
import json
import os
import sys

PURPOSES = {"SIPO": "household", "UVER": "loan", "POJISTNE": "insurance", "LEASING": "leasing"}


def rows(folder, name):
    path = os.path.join(folder, name + ".asc")
    text = gzip.open(path + ".gz", "rt") if os.path.exists(path + ".gz") else open(path)
    with text:
        yield from csv.DictReader(text, delimiter=";")


def day(text):
    return f"19{text[0:2]}-{text[2:4]}-{text[4:6]}"


def money(text):
    return f"{float(text):.2f}"


def partner(bank, account):
    return f"{bank}:{account}" if bank and account.strip("0") else "bank"


def main(folder, out):
    def write(name, records):
        with open(os.path.join(out, name + ".jsonl"), "w") as file:
            for record in records:
                file.write(json.dumps(record) + "\n")
        print(f"{len(records)} {name}")

    os.makedirs(out, exist_ok=True)
    transfers, last, second = [], "", 0
    for row in rows(folder, "trans"):
        second = second + 1 if row["date"] == last else 0
        last = row["date"]
        if float(row["amount"]) <= 0:
            continue
        source, target, channel = "outside", row["account_id"], "bank"
        if row["type"] != "PRIJEM":
            source, target = row["account_id"], partner(row["bank"], row["account"])
            if row["operation"].startswith("VYBER"):
                # Fees and penalties are booked as cash too, and named in k_symbol.
                is_fee = row["k_symbol"].strip() in ("SLUZBY", "SANKC. UROK", "POJISTNE")
                target, channel = ("bank", "bank") if is_fee else ("cash", "cash")
        at = 8 * 3600 + second
        transfers.append({
            "transfer_id": row["trans_id"], "from_account": source, "to_account": target, "amount": money(row["amount"]),
            "channel": channel, "event_time": f"{day(last)}T{at // 3600:02}:{at // 60 % 60:02}:{at % 60:02}Z"})
    loans = [
        {"loan_id": row["loan_id"], "account": row["account_id"], "amount": money(row["amount"]), "status": row["status"],
         "event_time": day(row["date"]) + "T00:00:00Z"}
        for row in rows(folder, "loan") if row["date"] <= last]
    kinds = {"bank": "fees", "cash": "cash"}
    for row in rows(folder, "order"):
        kinds.setdefault(partner(row["bank_to"], row["account_to"]), PURPOSES.get(row["k_symbol"].strip(), "other"))
    write("transfers", transfers)
    write("loans", sorted(loans, key=lambda loan: loan["event_time"]))
    write("accounts", [{"account": name, "kind": kind, "since": "1993-01-01T00:00:00Z"} for name, kind in kinds.items()])


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
