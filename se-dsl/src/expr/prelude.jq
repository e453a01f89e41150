# The filters of the language that are written in the language.
# Each name and arity stands once; a definition sees itself, those above it, and the native filters.

def empty: {}[] as $x | .;
def error: error_empty as $x | .;
def error(message): (message | error_empty) as $x | .;
def null: [][0];
def true: 0 == 0;
def false: 0 != 0;
def not: if . then false else true end;
def select(f): if f then . else empty end;
def values: select(. != null);
def nulls: select(. == null);
def booleans: select(type == "boolean");
def numbers: select(type == "number");
def strings: select(type == "string");
def arrays: select(type == "array");
def objects: select(type == "object");
def iterables: select(type == "array" or type == "object");
def scalars: select(type != "array" and type != "object");
def isvalid(f): try (f | true) catch false;
def tostring: "\(.)";
def toarray: if type == "array" then . else [.] end;
def have_literal_numbers: true;
def have_decnum: false;

# Generators
def range($to): range(0; $to; 1);
def range($from; $to): range($from; $to; 1);
def repeat(f): def rec: f, rec; rec;
def recurse(f): def rec: ., (f | rec); rec;
def recurse(f; cond): def rec: ., (f | select(cond) | rec); rec;
def recurse: recurse(.[]?);
def while(cond; update): def rec: if cond then ., (update | rec) else empty end; rec;
def until(cond; update): def rec: if cond then . else update | rec end; rec;
def isempty(g): first((g | false), true);
def nth($n; f): if $n < 0 then error("Out of bounds negative array index") else first(skip($n; f)) end;
def add(f): reduce f as $x (null; . + $x);
def add: add(.[]);
def any(g; cond): isempty(first(g | cond or empty)) | not;
def all(g; cond): isempty(first(g | cond and empty));
def any(cond): any(.[]; cond);
def all(cond): all(.[]; cond);
def any: any(.[]; .);
def all: all(.[]; .);
def IN(s): any(s == .; .);
def IN(src; s): any(src == s; .);

# Numbers
def abs: if type == "number" then if . < 0 then -. else . end else error("\(type) (\(tojson)) has no absolute value") end;
def isinfinite: fabs == infinite;
def finites: select(type == "number" and (isinfinite or isnan | not));
def isnormal: type == "number" and (. == 0 or isnan or isinfinite | not);
def normals: select(isnormal);
def logb: if . == 0 then -infinite elif isinfinite then infinite elif isnan then . else ilogb end;
def significand: if . == 0 or isinfinite or isnan then . else scalbln(.; ilogb | -1 * .) end;
def pow10: pow(10; .);
def drem($a; $b): remainder($a; $b);
def nexttoward($a; $b): nextafter($a; $b);
def scalb($x; $e): $x * pow(2; $e);
def gamma: lgamma;
def lgamma_r: lgamma;

# Paths
def map(f): [.[] | f];
def map_values(f): .[] |= f;
def getpath($path): reduce $path[] as $p (.; .[$p]);
def setpath($path; $value): getpath($path) = $value;
def del(f): delpaths([path(f)]);
def paths: path(..) | select(length > 0);
def paths(f): path(.. | select(f)) | select(length > 0);
def leaf_paths: paths(scalars);
def pick(f): . as $in | reduce path(f) as $p (null; setpath($p; $in | getpath($p)));
def walk(f): def rec: (if type == "object" then map_values(rec) elif type == "array" then map(rec) else . end) | f; rec;
def tostream: path(def rec: (.[]? | rec), .; rec) as $p | getpath($p)
  | reduce path(.[]?) as $q ([$p, .]; [$p + $q]);
def fromstream(f): {x: null, e: false} as $init
  | foreach f as $i ($init;
      if .e then $init else . end
      | if $i | length == 2
        then setpath(["e"]; $i[0] | length == 0) | setpath(["x"] + $i[0]; $i[1])
        else setpath(["e"]; $i[0] | length == 1)
        end;
      if .e then .x else empty end);
def truncate_stream(f): . as $n | null | f | . as $input
  | if (.[0] | length) > $n then setpath([0]; .[0][$n:]) else empty end;

# Arrays and objects
def first: .[0];
def last: .[-1];
def nth($n): .[$n];
def in(xs): . as $x | xs | has($x);
def inside(xs): . as $x | xs | contains($x);
def index($i): indices($i)[0];
def rindex($i): indices($i)[-1];
def min_by(f): reduce min_by_or_empty(f) as $x (null; $x);
def max_by(f): reduce max_by_or_empty(f) as $x (null; $x);
def combinations: if length == 0 then [] else .[0][] as $x | (.[1:] | combinations) as $rest | [$x] + $rest end;
def combinations($n): . as $in | [range($n) | $in] | combinations;
def transpose: if . == [] then [] else . as $in | (map(length) | max_by(.)) as $n
  | [range($n) as $j | [range($in | length) as $i | $in[$i][$j]]] end;
def min: min_by(.);
def max: max_by(.);
def unique_by(f): [group_by(f)[] | .[0]];
def unique: unique_by(.);
def flatten($depth):
  def rec($n): reduce .[] as $x ([]; if ($x | type) == "array" and $n > 0 then . + ($x | rec($n - 1)) else . + [$x] end);
  if $depth < 0 then error("flatten depth must not be negative") else rec($depth) end;
def flatten: flatten(1e9);
def to_entries: [key_values[] | {key: .[0], value: .[1]}];
def from_entries: reduce .[] as $x ({}; . + {
    ($x | if type == "object" and .key == null
          then if has("key") and .k == null and .name == null and .Name == null and .Key == null and .K == null
               then null else .k // .name // .Name // .Key // .K end
          else .key end
        | if type == "string" then . else tojson end):
    ($x | if has("value") then .value elif has("v") then .v else .Value end) });
def with_entries(f): to_entries | map(f) | from_entries;
def INDEX(stream; f): reduce stream as $row ({}; .[$row | f | tostring] |= $row);
def INDEX(f): INDEX(.[]; f);
def JOIN($idx; f): [.[] | [., $idx[f]]];
def JOIN($idx; stream; f): stream | [., $idx[f]];
def JOIN($idx; stream; f; join): stream | [., $idx[f]] | join;
def ascii: if type == "number" and . >= 0 and . <= 127 then [.] | implode else error("ascii only takes integers from 0 to 127") end;
def join($separator): reduce .[] as $x (null;
    (if . == null then "" else . + $separator end)
    + ($x | if . == null then "" elif type == "boolean" or type == "number" then tojson else . end)
  ) // "";
def trimstr($x): ltrimstr($x) | rtrimstr($x);
def _moment:
  if type == "number" then if fabs > 253402207200 then error("number (\(.)) is no time between the years -9999 and 9999") else . end
  elif type == "array" and (.[1] | type == "number" and . > 11) then error("there is no month \(.[1])")
  else . end;
def _format: if type == "string" and length > 1000 then error("a time format has at most 1000 characters") else . end;
def gmtime: _moment | _gmtime;
def mktime: _moment | _mktime;
def strftime($format): _moment | _strftime($format | _format);
def strptime($format): _strptime($format | _format);
def todate: strftime("%Y-%m-%dT%H:%M:%SZ");
def todateiso8601: todate;
def fromdate: fromdateiso8601;
def date: todate;
def dateadd($unit; $n): . + $n;
def datesub($unit; $n): . - $n;

# Regular expressions
def test($re; $flags): _test($re; $flags);
def test($re): if $re | type == "array" then _test($re[0]; $re[1]) else _test($re; null) end;
def match($re; $flags): _match($re; $flags)[];
def match($re): if $re | type == "array" then _match($re[0]; $re[1])[] else _match($re; null)[] end;
def _captured: [.captures[] | select(.name != null) | {key: .name, value: .string}] | from_entries;
def capture($re; $flags): match($re; $flags) | _captured;
def capture($re): match($re) | _captured;
def scan($re; $flags): match($re; "g" + $flags) | if .captures == [] then .string else [.captures[].string] end;
def scan($re): if $re | type == "array" then scan($re[0]; $re[1]) else scan($re; null) end;
def split($separator):
  if type == "string" and ($separator | type) == "string" then . / $separator
  else error("split input and separator must be strings") end;
def split($re; $flags): [_parts($re; "g" + $flags)[] | strings];
def splits($re; $flags): split($re; $flags)[];
def splits($re): splits($re; null);
def sub($re; f; $flags): reduce _parts($re; $flags)[] as $part (""; . + ($part | if type == "string" then . else _captured | f end));
def sub($re; f): sub($re; f; null);
def gsub($re; f; $flags): sub($re; f; "g" + $flags);
def gsub($re; f): sub($re; f; "g");

# Formats
def _row($format; string): if type != "array" then error("\(type) (\(tojson)) cannot be \($format)-formatted, only an array can be") else
  [.[] | if . == null then "" elif type == "boolean" or type == "number" then tojson
         elif type == "string" then string
         else error("\(type) (\(tojson)) is not valid in a csv row") end] end;
def _replace($from; $to): . / $from | join($to);
def @text: tostring;
def @json: tojson;
def @csv: _row("csv"; "\"" + _replace("\""; "\"\"") + "\"") | join(",");
def @tsv: _row("tsv"; _replace("\\"; "\\\\") | _replace("\t"; "\\t") | _replace("\n"; "\\n") | _replace("\r"; "\\r")) | join("\t");
def @html: tostring | _replace("&"; "&amp;") | _replace("<"; "&lt;") | _replace(">"; "&gt;") | _replace("'"; "&#39;") | _replace("\""; "&quot;");
def @uri: tostring | encode_uri;
def @urid: tostring | decode_uri;
def @sh: [toarray[] | if type == "string" then "'" + _replace("'"; "'\\''") + "'"
          elif type == "array" or type == "object" then error("\(type) (\(tojson)) can not be escaped for shell")
          else tojson end] | join(" ");
def @base64: tostring | encode_base64;
def @base64d: tostring | decode_base64;
def @base32: tostring | encode_base32;
def @base32d: tostring | decode_base32;
