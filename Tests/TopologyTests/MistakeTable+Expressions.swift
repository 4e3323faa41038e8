/// In place of `kind == "paid"` at 20:12.
let conditionMistakes = #"""
    + kind = "paid"
    20:17: unknown operator '='; write == to compare

    + kind === "paid"
    20:17: unknown operator '==='; write ==

    + kind == "paid" && true
    20:27: unknown operator '&&'; write and

    + not(kind == "paid") || true
    20:32: unknown operator '||'; write or

    + !true
    20:12: tags (!name) are not allowed; put a text that begins with ! in quotes

    + kind <> "x"
    20:17: unknown operator '<>'; write !=

    + knd == "paid"
    20:12: no field of orders 'knd'; did you mean 'kind'?

    + amount
    20:12: where must be true or false, not decimal(2); compare it, like amount > 100

    + amount > 1 > 2
    20:23: comparisons do not chain; write a < b and b < c

    + amount > "5"
    20:19: decimal(2) and text do not compare; both sides must have one type

    + kind == null
    20:20: nothing compares with null; write x is null or x is not null

    + amount is 5
    20:22: expected 'null' after 'is', not '5'; use == to compare

    + amount in []
    20:23: the list is empty; write x in [1, 2]

    + amount in [1, count]
    20:26: a list holds only written values, like "paid" or 5; use == and or for others

    + amount in [1, "a"]
    20:26: the list must hold decimal(2), like what stands before 'in', not text

    + amount in 1
    20:23: expected '..' after the lower end, not the end; write x in 0..5 or x in [1, 2]

    + amount in 5..1
    20:22: the range is empty: its lower end is above its upper end

    + kind in "a".."b"
    20:12: a range needs a number, a duration or a timestamp, not text

    + amount in 1.."b"
    20:25: the range must be of decimal(2), like what stands before 'in', not text

    + (amount > 1
    20:23: expected ')' to close the '(', not the end

    + amount > 1)
    20:22: unexpected ')'; there is no '(' for it

    + amount > 
    20:20: expected a value, not the end

    + amount 5
    20:19: expected an operator before '5'

    + amount > 5x
    20:22: unknown unit in '5x'; durations are written like 10s, 5m, 2h, 30d

    + amount > 1.5h
    20:21: '1.5h' is no duration; durations are written like 10s, 5m, 2h, 30d

    + at > 5
    20:15: timestamp and int do not compare; both sides must have one type

    + amount > 1.1234567890
    20:21: 1.1234567890 has more than 9 digits after the point

    + amount > 99999999999999999999
    20:21: 99999999999999999999 is too large; numbers have at most 18 digits

    + kind == "paid
    20:20: the text that begins here has no closing "

    + kind == `paid
    20:20: the name that begins here has no closing backtick

    + kind == "\q"
    20:21: unknown escape '\q'; known are \n \t \\ \" \'

    + amount @ 5
    20:19: unexpected character '@'

    + amount + kind > 5
    20:19: '+' does not take decimal(2) and text

    + kind + kind == "a"
    20:17: '+' does not join texts; write concat(a, b)

    + at + at > at
    20:15: '+' does not take timestamp and timestamp

    + count % kind > 1
    20:18: '%' does not take int and text

    + fee * fee * fee > 1
    20:22: the product would have 12 digits after the point, more than 9; round one side, like round(x, 2)

    + -kind == "a"
    20:13: '-' needs a number or a duration, not text

    + not amount
    20:16: 'not' needs true or false, not decimal(2)

    + amount and true
    20:12: 'and' needs true or false, not decimal(2)

    + true < false
    20:17: true and false have no order; only == and != compare them

    + if amount > 1 then true
    20:35: expected 'else', not the end; write: if a > 0 then a else 0

    + if amount then true else false
    20:15: 'if' needs true or false, not decimal(2)

    + if true then 1 else "a" == 1
    20:36: text and int do not compare; both sides must have one type

    + (if true then null else null) is null
    20:26: the branches of 'if' are all null, which has no type

    + null is null
    20:12: this is always null; name a field before 'is'

    + round(amount) > 1
    20:12: round does not take 1 argument; write round(x, 2)

    + round(amount, 10) > 1
    20:26: the digits after the point must be a number from 0 to 9, like round(x, 2)

    + round(amount, count) > 1
    20:26: the digits after the point must be a number from 0 to 9, like round(x, 2)

    + abs(kind) > 1
    20:16: abs needs a number, not text

    + lenght(kind) > 1
    20:12: no function 'lenght'; did you mean length(t)?

    + foo(kind) > 1
    20:12: no function 'foo'; known: abs, least, greatest, round, floor, ceil, coalesce, length, lower, upper, trim, starts_with, and 35 more

    + hour(at) > 5
    20:12: hour needs a time zone; write hour(at, "Asia/Shanghai"), or zone: Asia/Shanghai at the top of the file

    + hour(at, "Asia/Shangai") > 5
    20:21: no time zone 'Asia/Shangai'; did you mean 'Asia/Shanghai'?

    + hour(at, kind) > 5
    20:21: the zone must be a written name, like "Asia/Shanghai"

    + hour(amount, "UTC") > 5
    20:17: hour needs a timestamp, not decimal(2)

    + concat(kind, amount) == "a"
    20:25: concat needs text, not decimal(2); text(x) makes text of a value

    + sum(amount) > 5
    20:12: sum is for the 'aggregate' of a step with a window; here there is one record at a time

    + least(amount > 1, true)
    20:25: least needs numbers, texts, durations or timestamps, not bool

    + matches(kind, kind)
    20:26: the pattern must be a written text, like "^[0-9]+$"

    + matches(kind, "a(?=b)")
    20:26: in the pattern, at character 3: groups are (…) and (?:…), and (?i) may begin the pattern; what looks ahead or behind is not matched in linear time

    + matches(kind, "(a")
    20:26: in the pattern, at character 1: '(' without a ')'; write \( for the character

    + matches(kind, "a{1000}")
    20:26: in the pattern, at character 2: a repetition goes from less to more, like {2,3}, and to 500

    + matches(kind, "(a{100}){100}")
    20:26: in the pattern, at character 1: the pattern is too large: its repetitions make more than 500 steps

    + extract(kind, "(a)(b)") == "a"
    20:26: extract gives one group; write (?:…) for the groups that are only there to hold together

    + matches(amount, "a")
    20:20: matches needs text, not decimal(2)

    + sqrt(kind) > 1
    20:17: sqrt needs a number, not text

    + power(amount) > 1
    20:12: power does not take 1 argument; write power(x, 2) or power(x, 0.5, 4)

    + distance(amount, amount, amount) > 1
    20:12: distance does not take 3 arguments; write distance(latitude, longitude, latitude2, longitude2)

    + coalesce(amount, kind) > 1
    20:29: the arguments of coalesce must have one type, not decimal(2) and text

    + number(amount, 2) > 1
    20:19: number needs text, not decimal(2)

    + number(kind, 2.5) > 1
    20:25: the digits after the point must be a number from 0 to 9, like number(t, 2)

    + seconds(amount) > 1
    20:20: seconds needs a duration, not decimal(2)

    + substring(kind, 1) == "a"
    20:12: substring does not take 2 arguments; write substring(t, 0, 3)

    + kind.x == "a"
    20:12: no field of orders 'kind.x'; did you mean 'kind'?

    + kind. == "a"
    20:18: expected a name after '.', not '=='

    + amount > abs
    20:21: no field of orders 'abs'; as a function it is written abs(x)

    + starts_with(kind, 5)
    20:30: starts_with needs text, not int; text(x) makes text of a value

    + ((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((1))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))) > 1
    20:76: the expression is nested more than 64 deep

    + then > 1
    20:12: expected a value, not 'then'

    + text(null) == "a"
    20:17: null has no type here; it may stand in if, coalesce, and after 'is'

    + 10s + 5 > 1s
    20:16: '+' does not take duration and int

    + amount == true
    20:19: decimal(2) and bool do not compare; both sides must have one type
    """#

/// In place of `sum(amount)` at 28:14.
let aggregateMistakes = #"""
    + amount
    28:14: 'amount' is a field of single records; say which of the window is meant, like sum(amount), max(amount) or last(amount)

    + sum(amount) + amount
    28:28: 'amount' is a field of single records; say which of the window is meant, like sum(amount), max(amount) or last(amount)

    + sum(sum(amount))
    28:18: sum stands inside another aggregate; each takes values of single records

    + sum(kind)
    28:18: sum takes numbers, not text

    + sum(amount, 5)
    28:26: the condition of sum needs true or false, not int

    + count(amount)
    28:20: the condition of count needs true or false, not decimal(2)

    + quantile(amount, 2)
    28:31: the quantile must be a number between 0.001 and 0.999, like quantile(amount, 0.99)

    + quantile(amount)
    28:14: quantile does not take 1 argument; write quantile(amount, 0.99)

    + days()
    28:14: days() is for windows of days, like { size: 30d, slide: 1d, zone: Asia/Shanghai }

    + totl(amount)
    28:14: no function 'totl'; known: abs, least, greatest, round, floor, ceil, coalesce, length, lower, upper, trim, starts_with, and 48 more

    + max(kind == "a")
    28:23: max takes numbers, texts, timestamps or durations, not bool

    + sum()
    28:14: sum does not take 0 arguments; write sum(amount) or sum(amount, kind == "paid")

    + sum
    28:14: no field 'sum'; as a function it is written sum(amount) or sum(amount, kind == "paid")

    + window_start(1)
    28:14: window_start does not take 1 argument; write window_start()

    + sum(amonut)
    28:18: no field 'amonut'; did you mean 'amount'?

    + hour(window_end())
    28:14: hour needs a time zone; write hour(time, "Asia/Shanghai"), or zone: Asia/Shanghai at the top of the file
    """#
