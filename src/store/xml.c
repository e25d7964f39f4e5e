/*
 * xml.c
 *	  Finds elements by name in the small XML documents that cloud services
 *	  answer with.  Pure; results are in the current memory context.
 *
 * Not a validating parser, on purpose: the input is a stranger's.  Tags are
 * found by one pass from left to right; comments, CDATA, processing
 * instructions and declarations are stepped over, so nothing within them looks
 * like an element.  Only the five named entities and character references are
 * resolved; what a DOCTYPE defines is never looked at.  A document that ends
 * too soon ends the search.
 */
#include "dynpipe.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "store/http.h"

typedef enum Token
{
	TOKEN_END,
	TOKEN_OPEN,
	TOKEN_CLOSE,
	TOKEN_EMPTY,				/* <a/> */
	TOKEN_OTHER					/* text, CDATA, comment ... */
} Token;

typedef struct XmlScan
{
	const char *at;
	const char *end;
	const char *start;			/* of the token; at is behind it */
	const char *name;			/* of a tag, without prefix */
	Size		name_len;
} XmlScan;

static List *find(const char *xml, Size len, const char *tag, bool text);
static Token next(XmlScan *scan);
static Token next_tag(XmlScan *scan);
static bool skip_past(XmlScan *scan, const char *what);
static bool begins(const XmlScan *scan, const char *what);
static bool is_name(const XmlScan *scan, const char *tag);
static char *text_of(const char *from, const char *to);
static const char *append_reference(StringInfo buf, const char *at, const char *end);

List *
dp_xml_texts(const char *xml, Size len, const char *tag)
{
	return find(xml, len, tag, true);
}

List *
dp_xml_elements(const char *xml, Size len, const char *tag)
{
	return find(xml, len, tag, false);
}

/* Content of every outermost <tag>. */
static List *
find(const char *xml, Size len, const char *tag, bool text)
{
	XmlScan		scan = {.at = xml,.end = xml + len};
	const char *from = NULL;
	int			depth = 0;
	List	   *found = NIL;
	Token		token;

	while ((token = next(&scan)) != TOKEN_END)
	{
		if (token == TOKEN_OTHER || !is_name(&scan, tag))
			continue;
		if (token == TOKEN_EMPTY && depth == 0)
			found = lappend(found, pstrdup(""));
		else if (token == TOKEN_OPEN && depth++ == 0)
			from = scan.at;
		else if (token == TOKEN_CLOSE && depth > 0 && --depth == 0)
			found = lappend(found, text ? text_of(from, scan.start) :
							pnstrdup(from, scan.start - from));
	}
	return found;
}

static Token
next(XmlScan *scan)
{
	scan->start = scan->at;
	if (scan->at >= scan->end)
		return TOKEN_END;
	if (*scan->at != '<')
	{
		const char *tag = memchr(scan->at, '<', scan->end - scan->at);

		scan->at = tag != NULL ? tag : scan->end;
		return TOKEN_OTHER;
	}
	if (begins(scan, "<!--"))
		return skip_past(scan, "-->") ? TOKEN_OTHER : TOKEN_END;
	if (begins(scan, "<![CDATA["))
		return skip_past(scan, "]]>") ? TOKEN_OTHER : TOKEN_END;
	if (begins(scan, "<?"))
		return skip_past(scan, "?>") ? TOKEN_OTHER : TOKEN_END;
	if (begins(scan, "<!"))
		return skip_past(scan, ">") ? TOKEN_OTHER : TOKEN_END;
	return next_tag(scan);
}

/* <name ...>, </name>, <name .../>: a '>' within quotes does not end it. */
static Token
next_tag(XmlScan *scan)
{
	const char *at = scan->at + 1;
	bool		closing = at < scan->end && *at == '/';
	char		quote = 0;

	if (closing)
		at++;
	scan->name = at;
	while (at < scan->end && strchr(" \t\r\n/>", *at) == NULL)
	{
		if (*at++ == ':')
			scan->name = at;
	}
	scan->name_len = at - scan->name;
	for (; at < scan->end; at++)
	{
		if (quote != 0)
			quote = *at == quote ? 0 : quote;
		else if (*at == '"' || *at == '\'')
			quote = *at;
		else if (*at == '>')
		{
			scan->at = at + 1;
			return closing ? TOKEN_CLOSE : at[-1] == '/' ? TOKEN_EMPTY : TOKEN_OPEN;
		}
	}
	return TOKEN_END;
}

static bool
skip_past(XmlScan *scan, const char *what)
{
	Size		len = strlen(what);

	for (const char *at = scan->at + 2; at + len <= scan->end; at++)
		if (memcmp(at, what, len) == 0)
		{
			scan->at = at + len;
			return true;
		}
	return false;
}

static bool
begins(const XmlScan *scan, const char *what)
{
	Size		len = strlen(what);

	return scan->end - scan->at >= len && memcmp(scan->at, what, len) == 0;
}

static bool
is_name(const XmlScan *scan, const char *tag)
{
	return strlen(tag) == scan->name_len && memcmp(scan->name, tag, scan->name_len) == 0;
}

/* Character data of FROM..TO: tags within are left out, entities resolved. */
static char *
text_of(const char *from, const char *to)
{
	XmlScan		scan = {.at = from,.end = to};
	StringInfoData buf;
	Token		token;

	initStringInfo(&buf);
	while ((token = next(&scan)) != TOKEN_END)
	{
		if (token != TOKEN_OTHER)
			continue;
		if (scan.at - scan.start >= 12 && memcmp(scan.start, "<![CDATA[", 9) == 0)
			appendBinaryStringInfo(&buf, scan.start + 9, scan.at - scan.start - 12);
		if (*scan.start == '<')
			continue;
		for (const char *at = scan.start; at < scan.at;)
		{
			const char *amp = memchr(at, '&', scan.at - at);
			const char *stop = amp != NULL ? amp : scan.at;

			appendBinaryStringInfo(&buf, at, stop - at);
			at = amp != NULL ? append_reference(&buf, amp, scan.at) : stop;
		}
	}
	return buf.data;
}

/* What "&...;" at AT stands for; left as it is when it stands for nothing. */
static const char *
append_reference(StringInfo buf, const char *at, const char *end)
{
	static const struct
	{
		const char *name;
		char		is;
	}			entities[] = {{"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'},
	{"&apos;", '\''}};

	for (int i = 0; i < lengthof(entities); i++)
	{
		Size		len = strlen(entities[i].name);

		if (end - at >= len && memcmp(at, entities[i].name, len) == 0)
		{
			appendStringInfoChar(buf, entities[i].is);
			return at + len;
		}
	}
	if (end - at >= 4 && at[1] == '#')
	{
		bool		hex = at[2] == 'x' || at[2] == 'X';
		const char *digit = at + (hex ? 3 : 2);
		pg_wchar	code = 0;

		for (; digit < end && code <= 0x10ffff && isxdigit((unsigned char) *digit) &&
			 (hex || isdigit((unsigned char) *digit)); digit++)
			code = code * (hex ? 16 : 10) +
				(isdigit((unsigned char) *digit) ? *digit - '0' : (*digit | 0x20) - 'a' + 10);
		if (digit < end && *digit == ';' && code > 0 && is_valid_unicode_codepoint(code))
		{
			unsigned char utf8[8];

			unicode_to_utf8(code, utf8);
			appendBinaryStringInfo(buf, (char *) utf8, pg_utf_mblen(utf8));
			return digit + 1;
		}
	}
	appendStringInfoChar(buf, '&');
	return at + 1;
}
