/*
 * scan.h
 *	  Private to src/format: the first of a few bytes, many bytes at a time.
 *
 * Sixteen at once where the compiler has SSE2 (every x86-64), else eight in a
 * machine word.  The set is a constant of the loop: a member that is not
 * wanted is given as a repetition of another.
 */
#ifndef DP_SCAN_H
#define DP_SCAN_H

#include "port/pg_bitutils.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

typedef struct DpScanSet
{
	char		bytes[4];
} DpScanSet;

static inline bool
dp_scan_is_member(const DpScanSet *set, char c)
{
	return c == set->bytes[0] || c == set->bytes[1] || c == set->bytes[2] || c == set->bytes[3];
}

#ifndef __SSE2__
#define DP_SCAN_ONES	UINT64CONST(0x0101010101010101)

/* Has WORD a byte that is zero?  Never misses one; may see one above a true one. */
static inline bool
dp_scan_has_zero(uint64 word)
{
	return ((word - DP_SCAN_ONES) & ~word & (DP_SCAN_ONES << 7)) != 0;
}
#endif

/* The first place from I on where S[0..LEN) has a member of SET; LEN: none. */
static inline Size
dp_scan(const DpScanSet *set, const char *s, Size i, Size len)
{
#ifdef __SSE2__
	const __m128i a = _mm_set1_epi8(set->bytes[0]);
	const __m128i b = _mm_set1_epi8(set->bytes[1]);
	const __m128i c = _mm_set1_epi8(set->bytes[2]);
	const __m128i d = _mm_set1_epi8(set->bytes[3]);

	for (; i + 16 <= len; i += 16)
	{
		__m128i		block = _mm_loadu_si128((const __m128i *) (s + i));
		__m128i		hit = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(block, a),
													_mm_cmpeq_epi8(block, b)),
									   _mm_or_si128(_mm_cmpeq_epi8(block, c),
													_mm_cmpeq_epi8(block, d)));
		int			mask = _mm_movemask_epi8(hit);

		if (mask != 0)
			return i + pg_rightmost_one_pos32(mask);
	}
#else
	for (; i + sizeof(uint64) <= len; i += sizeof(uint64))
	{
		uint64		word;

		memcpy(&word, s + i, sizeof(word));
		if (dp_scan_has_zero(word ^ (DP_SCAN_ONES * (unsigned char) set->bytes[0])) ||
			dp_scan_has_zero(word ^ (DP_SCAN_ONES * (unsigned char) set->bytes[1])) ||
			dp_scan_has_zero(word ^ (DP_SCAN_ONES * (unsigned char) set->bytes[2])) ||
			dp_scan_has_zero(word ^ (DP_SCAN_ONES * (unsigned char) set->bytes[3])))
			break;
	}
#endif
	while (i < len && !dp_scan_is_member(set, s[i]))
		i++;
	return i;
}

/* A quote, a bracket of either kind or a line end: what matters in JSON outside of strings. */
static inline bool
dp_scan_is_json(char c)
{
	return c == '"' || c == '\n' || (c | 0x20) == '{' || (c | 0x20) == '}';
}

/* The first of these from I on in S[0..LEN); LEN: none. */
static inline Size
dp_scan_json(const char *s, Size i, Size len)
{
#ifdef __SSE2__
	const __m128i quote = _mm_set1_epi8('"');
	const __m128i line_end = _mm_set1_epi8('\n');
	const __m128i opened = _mm_set1_epi8('{');
	const __m128i closed = _mm_set1_epi8('}');
	const __m128i both = _mm_set1_epi8(0x20);	/* square brackets become curly ones */

	for (; i + 16 <= len; i += 16)
	{
		__m128i		block = _mm_loadu_si128((const __m128i *) (s + i));
		__m128i		curly = _mm_or_si128(block, both);
		__m128i		hit = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(block, quote),
													_mm_cmpeq_epi8(block, line_end)),
									   _mm_or_si128(_mm_cmpeq_epi8(curly, opened),
													_mm_cmpeq_epi8(curly, closed)));
		int			mask = _mm_movemask_epi8(hit);

		if (mask != 0)
			return i + pg_rightmost_one_pos32(mask);
	}
#endif
	while (i < len && !dp_scan_is_json(s[i]))
		i++;
	return i;
}

/* How often C stands in S. */
static inline int
dp_scan_count(const char *s, int len, char c)
{
	int			n = 0;

	for (int i = 0; i < len; i++)
		n += s[i] == c;
	return n;
}

#endif							/* DP_SCAN_H */
