"""What the members of a body may be. Amounts are decimal major units for order_api, whole minor units for the gateway."""

from typing import Any

from tests.hostile.requests import ABSENT, Case

INVALID = (422, "invalid-fields")

# What is sent is the members that differ from those of a good body, each as what Python makes JSON of.
BOTH = [
    *(Case(f"no {name}", {name: ABSENT}, *INVALID) for name in ("amount", "currency")),
    *(
        Case(f"{name} of null", {name: None}, *INVALID)
        for name in ("amount", "currency", "paymentMethod", "metadata")
    ),
    Case("a member that nobody knows", {"amuont": 1}, *INVALID),
    Case("a member in another case", {"Amount": 1}, *INVALID),
    Case("a member as MongoDB calls it", {"payment_method": "pm_card_visa"}, *INVALID),
    Case("a member that is ours to set", {"merchant": "somebody-else"}, *INVALID),
    Case("an id of one's own", {"_id": "mine"}, *INVALID),
    Case("a status of one's own", {"status": "Paid"}, *INVALID),
    Case("an operator at the top", {"$where": "sleep(1000)"}, *INVALID),
    Case("a prototype", {"__proto__": {"admin": True}}, *INVALID),
    Case("-0", {"amount": -0.0}, *INVALID),
    Case("a negative amount", {"amount": -1}, *INVALID),
    Case("an amount of true", {"amount": True}, *INVALID),
    Case("an amount in an array", {"amount": [1]}, *INVALID),
    Case("an amount in an object", {"amount": {"$numberLong": "1"}}, *INVALID),
    Case("an amount with an exponent", {"amount": 1e22}, *INVALID),
    Case("an infinite amount in a string", {"amount": "Infinity"}, *INVALID),
    Case("a currency in small letters", {"currency": "usd"}, *INVALID),
    Case("a currency in mixed letters", {"currency": "Usd"}, *INVALID),
    Case("a full-width currency", {"currency": "\uff35\uff33\uff24"}, *INVALID),
    Case("a Cyrillic letter in it", {"currency": "US\u0501"}, *INVALID),
    Case("a line break after it", {"currency": "USD\n"}, *INVALID),
    Case("a space before it", {"currency": " USD"}, *INVALID),
    Case("an empty currency", {"currency": ""}, *INVALID),
    Case("a currency of four letters", {"currency": "USDT"}, *INVALID),
    Case("a currency by its number", {"currency": "840"}, *INVALID),
    Case("the number itself", {"currency": 840}, *INVALID),
    Case("an operator for a currency", {"currency": {"$ne": ""}}, *INVALID),
    Case("a payment method that is a number", {"paymentMethod": 1}, *INVALID),
    Case("an overlong payment method", {"paymentMethod": "p" * 256}, *INVALID),
    Case("an operator for a payment method", {"paymentMethod": {"$gt": ""}}, *INVALID),
    Case("metadata in an array", {"metadata": ["a"]}, *INVALID),
    Case("metadata in a string", {"metadata": "{}"}, *INVALID),
    Case("a number in metadata", {"metadata": {"a": 1}}, *INVALID),
    Case("null in metadata", {"metadata": {"a": None}}, *INVALID),
    Case("an object in metadata", {"metadata": {"a": {"$gt": ""}}}, *INVALID),
    Case("50 members of metadata", {"metadata": {f"key {n}": "" for n in range(50)}}, 201),
    Case("51 members of metadata", {"metadata": {f"key {n}": "" for n in range(51)}}, *INVALID),
    Case("a metadata value of 500 characters", {"metadata": {"a": "😀" * 500}}, 201),
    Case("a metadata value of 501 characters", {"metadata": {"a": "v" * 501}}, *INVALID),
    # What a value means is its owner's business: it is kept, and comes back as it was.
    Case("a metadata value of every kind of character", {"metadata": {"a": "$where\0\u202e\u200b\ud7ff\uffff.\n"}}, 201),
]  # fmt: skip

# What can be paid, order_api asks only when it has looked up the key: a currency may have been withdrawn since.
UNPAYABLE = [
    Case("0", {"amount": 0}, *INVALID),
    Case("more than can be paid", {"amount": 1_000_000_000_000_000}, *INVALID),
    Case("beyond 64 bits", {"amount": 2**64}, *INVALID),
    Case("no currency in ISO's own code for that", {"currency": "XXX"}, *INVALID),
    Case("gold, which has no minor units", {"currency": "XAU"}, *INVALID),
    Case("letters that are no currency", {"currency": "ZZZ"}, *INVALID),
    Case("an amount in a currency that is none", {"amount": 1, "currency": "QQQ"}, *INVALID),
]

METADATA_KEYS = [
    ("letters of any script", "größe-尺寸", 201),
    ("words", "gift wrap", 201),
    ("40 characters", "k" * 40, 201),
    ("a dollar inside", "us$", 201),
    ("41 characters", "k" * 41, 422),
    ("nothing", "", 422),
    ("a dollar at the start", "$set", 422),
    ("a dot", "a.b", 422),
    ("NUL", "a\0b", 422),
    ("a line break", "a\nb", 422),
    ("a space at the end", "a ", 422),
    ("two spaces", "a  b", 422),
    ("a line separator", "a\u2028b", 422),
    ("a paragraph separator", "a\u2029b", 422),
    ("a bidi override", "a\u202eb", 422),
    ("a zero-width space", "a\u200bb", 422),
    ("a combining mark at the start", "\u0301a", 422),
    ("a letter and an accent that are not composed", "cle\u0301", 422),
]
BOTH += [
    Case(f"a metadata key of {name}", {"metadata": {key: "value"}}, status, "invalid-fields" if status == 422 else "")
    for name, key, status in METADATA_KEYS
]

# The member that names the thing: `orderNumber` or `reference`. Each is made unlike any before, where it may be.
NUMBERS: list[tuple[str, Any, int]] = [
    ("letters of any script", "Bestellung-№-尺寸-é-{}", 201),
    ("an emoji", "😀-{}", 201),
    ("a combining mark that nothing is composed with", "x\u0301-{}", 201),
    ("punctuation and operators", "$gt.{}';--<script>", 201),
    ("nothing at all", ABSENT, 422),
    ("null", None, 422),
    ("a number", 7, 422),
    ("an array", ["a"], 422),
    ("an operator", {"$ne": None}, 422),
    ("an object id", {"$oid": "0" * 24}, 422),
    ("no characters", "", 422),
    ("a space", " ", 422),
    ("two spaces inside", "a  b", 422),
    ("a space at the start", " a", 422),
    ("a space at the end", "a ", 422),
    ("NUL", "a\0b", 422),
    ("a line break", "a\nb", 422),
    ("an escape sequence", "\x1b[31mred", 422),
    ("DEL", "a\x7f", 422),
    ("a C1 control", "a\x85b", 422),
    ("a no-break space", "a\xa0b", 422),
    ("an ideographic space", "a\u3000b", 422),
    ("a soft hyphen", "a\xadb", 422),
    ("a line separator", "a\u2028b", 422),
    ("a paragraph separator", "a\u2029b", 422),
    ("a bidi override", "a\u202eb", 422),
    ("a bidi isolate", "a\u2066b", 422),
    ("a right-to-left mark", "a\u200fb", 422),
    ("a zero-width space", "a\u200bb", 422),
    ("a zero-width joiner", "a\u200db", 422),
    ("a byte order mark", "\ufeffa", 422),
    ("a word joiner", "a\u2060b", 422),
    ("a grapheme joiner", "a\u034fb", 422),
    ("a variation selector", "a\ufe0f", 422),
    ("a supplementary variation selector", "a\U000e0100", 422),
    ("a tag", "a\U000e0041", 422),
    ("a Hangul filler", "\u3164", 422),
    ("a half-width Hangul filler", "a\uffa0", 422),
    ("a Hangul choseong filler", "a\u115f", 422),
    ("a Khmer inherent vowel", "a\u17b4", 422),
    ("a Mongolian vowel separator", "a\u180e", 422),
    ("a blank Braille pattern", "\u2800", 422),
    ("a private character", "a\ue000", 422),
    ("a noncharacter", "a\uffff", 422),
    ("a character that is not assigned", "a\u0378", 422),
    ("a combining mark at the start", "\u0301a", 422),
    ("a letter and an accent that are not composed", "e\u0301-1", 422),
    ("a singleton that has another form", "\u212b-1", 422),  # ANGSTROM SIGN, which is Å
]

_NO_METHODS = [
    Case("an empty payment method", {"paymentMethod": ""}, *INVALID),
    Case("a payment method with NUL", {"paymentMethod": "pm_card_visa\0"}, *INVALID),
    Case("a payment method with a line break", {"paymentMethod": "pm_card_visa\r\nX-Injected: 1"}, *INVALID),
]

ORDERS = [
    *_NO_METHODS,
    Case("64 characters", {"orderNumber": "9" * 64}, 201),
    Case("65 characters", {"orderNumber": "x" * 65}, *INVALID),
    Case("single spaces inside", {"orderNumber": "order no 7"}, 201),
    Case("a number and a string that say the same", {"amount": "99.99"}, 201),
    Case("the largest amount", {"amount": "9999999999999.99"}, 201),
    Case("zeros at the end", {"amount": "99.9900000"}, 201),
    Case("zeros at the start of a string", {"amount": "00.5"}, 201),  # digits, a dot, digits
    Case("three decimals of a dinar", {"amount": "1.001", "currency": "KWD"}, 201),
    Case("5,000 digits in a string", {"amount": "9" * 5_000}, *INVALID),
    Case("5,000 decimals in a string", {"amount": "0." + "9" * 5_000}, *INVALID),
    *(
        Case(f"an amount of {amount!a}", {"amount": amount}, *INVALID)
        for amount in ("", " ", " 1 ", "1\n", "-1", "-0", "+1", "1.", ".5", ".", "1.2.3", "1,5", "1 000", "1_000", "1e2",
                       "1E+3", "0x1", "\u0661", "\uff11", "NaN", "$1", "1\0", "½")
    ),
]  # fmt: skip

UNPAYABLE_ORDERS = [
    Case("one cent more", {"amount": "10000000000000.00"}, *INVALID),
    Case("0.00", {"amount": "0.00"}, *INVALID),
    Case("less than a cent", {"amount": "0.001"}, *INVALID),
    Case("a thousandth of a cent too many", {"amount": "99.990001"}, *INVALID),
    Case("a fraction of a yen", {"amount": "1.5", "currency": "JPY"}, *INVALID),
    Case("four decimals of a dinar", {"amount": "1.0001", "currency": "KWD"}, *INVALID),
]

CHARGES = [
    Case("255 characters", {"reference": "9" * 255}, 201),
    Case("256 characters", {"reference": "x" * 256}, *INVALID),
    Case("a space inside", {"reference": "a b"}, *INVALID),
    Case("an amount in a string", {"amount": "9999"}, *INVALID),
    Case("a fraction", {"amount": 99.99}, *INVALID),
    Case("a fraction that is none", {"amount": 99.0}, *INVALID),
    Case("the largest amount", {"amount": 999_999_999_999_999}, 201),
    Case("one more", {"amount": 1_000_000_000_000_000}, *INVALID),
]

# Which payment methods there are, the gateway asks only when it has looked up the key.
METHODS = [
    Case("a payment method that nobody has", {"paymentMethod": "pm_card_gold"}, *INVALID),
    Case("a payment method in capitals", {"paymentMethod": "PM_CARD_VISA"}, *INVALID),
    *_NO_METHODS,
]
