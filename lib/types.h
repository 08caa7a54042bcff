/* SPDX-License-Identifier: MIT */
/*
 * Types: the address spaces, each with a type of its own so that mixing them does not compile, and the
 * errors that functions return.
 *
 *	gva  guest-virtual      what a guest's instruction names
 *	gpa  guest-physical     what the guest's tables translate it to;    gfn = gpa >> 12
 *	hpa  host-physical      what EPT or a shadow table translates it to; pfn = hpa >> 12
 *
 * A pointer is always a host-virtual address.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
	uint64_t v;
} gva_t;
typedef struct {
	uint64_t v;
} gpa_t;
typedef struct {
	uint64_t v;
} hpa_t;
typedef struct {
	uint64_t v;
} gfn_t;
typedef struct {
	uint64_t v;
} pfn_t;

#define PAGE_SHIFT 12
#define PAGE_SIZE  4096ul
#define PAGE_MASK  (PAGE_SIZE - 1) /* the offset bits */

#define KiB 1024ul
#define MiB (1024ul * KiB)
#define GiB (1024ul * MiB)

static inline gva_t gva(uint64_t v)
{
	return (gva_t){ v };
}
static inline gpa_t gpa(uint64_t v)
{
	return (gpa_t){ v };
}
static inline hpa_t hpa(uint64_t v)
{
	return (hpa_t){ v };
}
static inline gfn_t gfn(uint64_t v)
{
	return (gfn_t){ v };
}
static inline pfn_t pfn(uint64_t v)
{
	return (pfn_t){ v };
}
static inline gfn_t gpa_to_gfn(gpa_t a)
{
	return (gfn_t){ a.v >> PAGE_SHIFT };
}
static inline gpa_t gfn_to_gpa(gfn_t n)
{
	return (gpa_t){ n.v << PAGE_SHIFT };
}
static inline pfn_t hpa_to_pfn(hpa_t a)
{
	return (pfn_t){ a.v >> PAGE_SHIFT };
}
static inline hpa_t pfn_to_hpa(pfn_t n)
{
	return (hpa_t){ n.v << PAGE_SHIFT };
}

/* Errors are returned negative: `return -E_NOMEM;`. 0 is success. err_name() gives the words. */
enum err {
	E_NOMEM = 1, /* no memory left in the pool asked */
	E_INVAL,     /* a parameter or a file's content is not valid */
	E_RANGE,     /* an address or size is out of range, or overflows */
	E_EXIST,     /* overlaps something that is there already */
	E_NOENT,     /* not there */
	E_BUSY,	     /* in use; try again later */
	E_NOSUP,     /* not supported by this CPU, or by Lethe */
	E_FAULT,     /* a guest address that nothing backs */
	E_AGAIN,     /* state changed meanwhile; start again */
	E_IO,	     /* hardware or firmware failed */
	E_TIMEOUT,   /* hardware did not answer in time */
};

const char *err_name(int err); /* takes either sign; never NULL */

#define ARRAY_SIZE(a)		  (sizeof(a) / sizeof((a)[0]))
#define container_of(p, type, m)  ((type *)((char *)(p)-offsetof(type, m)))
#define __packed		  __attribute__((packed))
#define __aligned(n)		  __attribute__((aligned(n)))
#define __noreturn		  __attribute__((noreturn))
#define __printf_like(fmt, first) __attribute__((format(printf, fmt, first)))
#define __hot			  __attribute__((hot)) /* next to each other in the image */
#define likely(x)		  __builtin_expect(!!(x), 1)
#define unlikely(x)		  __builtin_expect(!!(x), 0)

#define min(a, b)                                                                                            \
	({                                                                                                   \
		__auto_type _a = (a);                                                                        \
		__auto_type _b = (b);                                                                        \
		_a < _b ? _a : _b;                                                                           \
	})
#define max(a, b)                                                                                            \
	({                                                                                                   \
		__auto_type _a = (a);                                                                        \
		__auto_type _b = (b);                                                                        \
		_a > _b ? _a : _b;                                                                           \
	})
