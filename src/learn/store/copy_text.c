/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/store/copy_text.h"

#include <math.h>

#include "base/check.h"

void copy_text_null(struct text *out)
{
    text_add(out, "\\N\t");
}

void copy_text_string(struct text *out, struct bytes value)
{
    for (size_t i = 0; i < value.size; i++) {
        char c = (char)value.data[i];
        if (c == '\\')
            text_add(out, "\\\\");
        else if (c == '\t')
            text_add(out, "\\t");
        else if (c == '\n')
            text_add(out, "\\n");
        else if (c == '\r')
            text_add(out, "\\r");
        else
            text_add_char(out, c != '\0' ? c : '?');
    }
    text_add_char(out, '\t');
}

void copy_text_i64(struct text *out, int64_t value)
{
    text_add_i64(out, value);
    text_add_char(out, '\t');
}

void copy_text_u64(struct text *out, uint64_t value)
{
    text_add_u64(out, value);
    text_add_char(out, '\t');
}

void copy_text_f64(struct text *out, double value)
{
    if (!isfinite(value)) {
        copy_text_null(out);
        return;
    }
    text_add_f64(out, value);
    text_add_char(out, '\t');
}

void copy_text_bool(struct text *out, bool value)
{
    text_add(out, value ? "t\t" : "f\t");
}

void copy_text_decimal(struct text *out, int64_t mantissa, int exponent)
{
    text_add_decimal(out, mantissa, exponent);
    text_add_char(out, '\t');
}

void copy_text_floats(struct text *out, const float *values, int count)
{
    text_add_char(out, '{');
    for (int i = 0; i < count; i++) {
        text_add(out, i > 0 ? "," : "");
        if (isfinite(values[i]))
            text_add_format(out, "%.9g", (double)values[i]);
        else
            text_add(out, "NaN");
    }
    text_add(out, "}\t");
}

void copy_text_end_row(struct text *out)
{
    if (out->truncated)
        return;
    PRE(out->size > 0 && out->at[out->size - 1] == '\t');
    out->at[out->size - 1] = '\n';
}
