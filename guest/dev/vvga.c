/* SPDX-License-Identifier: MIT */
/* VGA: registers of text mode (IBM VGA; FreeVGA's tables), text memory, refresh of the console. */
#include "guest/dev/vvga.h"

#include "lib/bits.h"
#include "lib/string.h"
#include "mm/map/backing.h"
#include "mm/space/guest_mem.h"
#include "mm/space/slots_change.h"

#define REFRESH_HZ	 20
#define REFRESH_QUIET_HZ 5
#define PIECES_HZ	 240 /* of a change that is too large for one refresh: together what 115200 baud carry */
#define QUIET_AFTER	 40  /* refreshes without anything new */
#define OUT_BYTES	 512 /* of ANSI text a refresh: about what 115200 baud carry meanwhile */

#define MISC_COLOR	  BIT(0)
#define GFX_MISC	  6
#define GFX_GRAPHICS	  BIT(0)
#define CRTC_CURSOR_START 0x0a
#define CURSOR_OFF	  BIT(5)
#define CRTC_START	  0x0c
#define CRTC_CURSOR	  0x0e
#define CRTC_PROTECT_REG  0x11
#define CRTC_PROTECT	  BIT(7)
#define STATUS_BLANK	  BIT(0)
#define STATUS_RETRACE	  BIT(3)

/* Mode 3: 80 x 25 characters of 9 x 16, colour. */
static const uint8_t seq_mode3[8] = { 0x03, 0x00, 0x03, 0x00, 0x02 };
static const uint8_t crtc_mode3[32] = { 0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d,
	0x0e, 0x00, 0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff };
static const uint8_t gfx_mode3[16] = { 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0e, 0x00, 0xff };
static const uint8_t attr_mode3[32] = { 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a,
	0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x0c, 0x00, 0x0f, 0x08, 0x00 };

static unsigned vga_word(const struct vvga *v, unsigned reg)
{
	return v->crtc[reg] << 8 | v->crtc[reg + 1];
}

/* ---- the refresh ---- */

/* The visible cells into v->now; text memory wraps at 32 KiB. */
static bool vga_read_cells(struct vvga *v)
{
	uint64_t at = vga_word(v, CRTC_START) * 2ul % VVGA_BYTES,
		 first = min(sizeof(v->now), VVGA_BYTES - at);

	if (guest_read(v->dev.board->memory, gpa(LAYOUT_VGA_TEXT + at), v->now, first))
		return false;
	return first == sizeof(v->now) || !guest_read(v->dev.board->memory, gpa(LAYOUT_VGA_TEXT),
						  (char *)v->now + first, sizeof(v->now) - first);
}

static unsigned vga_cursor_cell(const struct vvga *v)
{
	unsigned at = (vga_word(v, CRTC_CURSOR) - vga_word(v, CRTC_START)) & (VVGA_BYTES / 2 - 1);

	return v->crtc[CRTC_CURSOR_START] & CURSOR_OFF ? VVGA_CELLS : at;
}

_Static_assert(CONSOLE_GATHERED_MOST + OUT_BYTES <= CONSOLE_BYTES, "there is room for a refresh");

/* True if something was new, or there is more to look at. */
static bool vga_refresh(struct vvga *v)
{
	char out[OUT_BYTES];
	size_t n;

	if (!v->backing || v->finished || (v->gfx[GFX_MISC] & GFX_GRAPHICS) || !vga_read_cells(v))
		return false;
	/* Nothing is lost: what has changed is found when there is room. The console makes it in a piece of work of its own. */
	if (!v->ending && vconsole_is_full(v->dev.board->console))
		return true;
	n = vvga_screen_update(&v->screen, v->now, vga_cursor_cell(v), out, sizeof(out));
	vconsole_write(v->dev.board->console, out, n);
	return n || v->screen.more;
}

static uint64_t vga_refresh_ticks(const struct vvga *v)
{
	if (v->screen.more) /* the last one was cut */
		return v->dev.board->clock->tsc_hz / PIECES_HZ;
	return v->dev.board->clock->tsc_hz / (v->quiet >= QUIET_AFTER ? REFRESH_QUIET_HZ : REFRESH_HZ);
}

static void vga_fire(struct vtimer *t, uint64_t now)
{
	struct vvga *v = container_of(t, struct vvga, timer);

	v->quiet = vga_refresh(v) ? 0 : v->quiet + (v->quiet < QUIET_AFTER);
	timer_arm(&v->timer, tsc_after(now, vga_refresh_ticks(v)));
}

void vvga_hurry(struct vvga *v)
{
	if (v->quiet < QUIET_AFTER)
		return;
	v->quiet = 0;
	timer_arm(&v->timer, tsc_after(device_now(&v->dev), vga_refresh_ticks(v)));
}

bool vvga_finish(struct vvga *v)
{
	static const char below[] = "\033[?25h\033[25;1H\r\n";

	v->ending = true;
	if (vga_refresh(v))
		return false;
	if (v->screen.shown && !v->finished)
		vconsole_write(v->dev.board->console, below, sizeof(below) - 1);
	v->finished = true;
	return true;
}

/* ---- registers ---- */

static uint8_t vga_status1(const struct vvga *v)
{
	/* 70 frames of 449 lines a second; the last lines of a frame and the ends of lines are not displayed. */
	uint64_t us = mul_div(device_now(&v->dev), 1000000, v->dev.board->clock->tsc_hz) % 14286;

	if (us >= 12700)
		return us < 12800 ? STATUS_BLANK | STATUS_RETRACE : STATUS_BLANK;
	return us % 32 >= 26 ? STATUS_BLANK : 0;
}

static uint8_t vga_read_dac(struct vvga *v)
{
	uint8_t value = v->dac[v->dac_read * 3 + v->dac_part];

	v->dac_part = (uint8_t)((v->dac_part + 1) % 3);
	v->dac_read += v->dac_part == 0;
	return value;
}

static void vga_write_dac(struct vvga *v, uint8_t value)
{
	v->dac[v->dac_write * 3 + v->dac_part] = value & 0x3f;
	v->dac_part = (uint8_t)((v->dac_part + 1) % 3);
	v->dac_write += v->dac_part == 0;
}

static void vga_write_attribute(struct vvga *v, uint8_t value)
{
	if (!v->attr_data)
		v->attr_index = value & 0x3f;
	else if (!((v->attr_index & BIT(5)) && (v->attr_index & 0x1f) < 16)) /* bit 5 locks the palette */
		v->attr[v->attr_index & 0x1f] = value;
	v->attr_data = !v->attr_data;
}

static void vga_write_crtc(struct vvga *v, uint8_t value)
{
	unsigned reg = v->crtc_index & 0x1f;

	if (reg < 8 && (v->crtc[CRTC_PROTECT_REG] & CRTC_PROTECT)) {
		if (reg == 7)
			v->crtc[7] = (uint8_t)((v->crtc[7] & ~BIT(4)) | (value & BIT(4)));
		return;
	}
	v->crtc[reg] = value;
}

/* The CRTC and status 1 answer at 0x3dx in colour, at 0x3bx in monochrome. */
static bool vga_crtc_is_at(const struct vvga *v, unsigned port)
{
	return ((port & 0xff0) == 0x3d0) == !!(v->misc & MISC_COLOR);
}

static uint8_t vga_crtc_read(struct vvga *v, unsigned port)
{
	if (!vga_crtc_is_at(v, port))
		return 0xff;
	switch (port & 15) {
	case 4:
		return v->crtc_index;
	case 5:
		return v->crtc[v->crtc_index & 0x1f];
	case 10:
		v->attr_data = false;
		return vga_status1(v);
	default:
		return 0xff;
	}
}

static uint64_t vga_read(struct vvga *v, unsigned port)
{
	switch (port) {
	case 0x3c0:
		return v->attr_index;
	case 0x3c1:
		return v->attr[v->attr_index & 0x1f];
	case 0x3c2: /* input status 0: a monitor is there */
		return BIT(4);
	case 0x3c3:
		return 1;
	case 0x3c4:
		return v->seq_index;
	case 0x3c5:
		return v->seq[v->seq_index & 7];
	case 0x3c6:
		return v->dac_mask;
	case 0x3c7:
		return v->dac_state;
	case 0x3c8:
		return v->dac_write;
	case 0x3c9:
		return vga_read_dac(v);
	case 0x3ca:
		return v->feature;
	case 0x3cc:
		return v->misc;
	case 0x3ce:
		return v->gfx_index;
	case 0x3cf:
		return v->gfx[v->gfx_index & 15];
	default:
		return (port & 0xff0) == 0x3c0 ? 0xff : vga_crtc_read(v, port);
	}
}

static void vga_write(struct vvga *v, unsigned port, uint8_t value)
{
	switch (port) {
	case 0x3c0:
		vga_write_attribute(v, value);
		break;
	case 0x3c2:
		v->misc = value;
		break;
	case 0x3c4:
		v->seq_index = value;
		break;
	case 0x3c5:
		v->seq[v->seq_index & 7] = value;
		break;
	case 0x3c6:
		v->dac_mask = value;
		break;
	case 0x3c7:
		v->dac_read = value;
		v->dac_part = 0;
		v->dac_state = 3;
		break;
	case 0x3c8:
		v->dac_write = value;
		v->dac_part = 0;
		v->dac_state = 0;
		break;
	case 0x3c9:
		vga_write_dac(v, value);
		break;
	case 0x3ce:
		v->gfx_index = value;
		break;
	case 0x3cf:
		v->gfx[v->gfx_index & 15] = value;
		break;
	case 0x3b4:
	case 0x3d4:
		if (vga_crtc_is_at(v, port))
			v->crtc_index = value;
		break;
	case 0x3b5:
	case 0x3d5:
		if (vga_crtc_is_at(v, port))
			vga_write_crtc(v, value);
		break;
	case 0x3ba:
	case 0x3da:
		if (vga_crtc_is_at(v, port))
			v->feature = value;
		break;
	default: /* the rest of a VGA's ports has no effect on text */
		break;
	}
}

static uint64_t vga_low_read(void *dev, uint64_t off, unsigned size)
{
	return vga_read(dev, 0x3b0 + (unsigned)off);
}
static void vga_low_write(void *dev, uint64_t off, unsigned size, uint64_t value)
{
	vga_write(dev, 0x3b0 + (unsigned)off, (uint8_t)value);
}
static uint64_t vga_high_read(void *dev, uint64_t off, unsigned size)
{
	return vga_read(dev, 0x3c0 + (unsigned)off);
}
static void vga_high_write(void *dev, uint64_t off, unsigned size, uint64_t value)
{
	vga_write(dev, 0x3c0 + (unsigned)off, (uint8_t)value);
}

/* Text memory as firmware leaves it: blanks, grey on black. */
static void vvga_clear(struct vvga *v)
{
	for (unsigned i = 0; i < VVGA_CELLS; i++)
		v->now[i] = 0x0720;
	for (uint64_t at = 0; v->backing && at < VVGA_BYTES; at += sizeof(v->now))
		guest_write(v->dev.board->memory, gpa(LAYOUT_VGA_TEXT + at), v->now,
			min(sizeof(v->now), VVGA_BYTES - at));
}

static void vvga_reset(struct device *d)
{
	struct vvga *v = (struct vvga *)d;

	vvga_clear(v);
	v->misc = 0x67;
	v->feature = v->seq_index = v->crtc_index = v->gfx_index = v->attr_index = 0;
	v->attr_data = false;
	memcpy(v->seq, seq_mode3, sizeof(v->seq));
	memcpy(v->crtc, crtc_mode3, sizeof(v->crtc));
	memcpy(v->gfx, gfx_mode3, sizeof(v->gfx));
	memcpy(v->attr, attr_mode3, sizeof(v->attr));
	v->dac_mask = 0xff;
	v->dac_read = v->dac_write = v->dac_part = v->dac_state = 0;
	memset(v->dac, 0, sizeof(v->dac));
	v->quiet = QUIET_AFTER;
	v->finished = v->ending = false;
	if (v->dev.board->memory)
		timer_arm(&v->timer, tsc_after(device_now(&v->dev), vga_refresh_ticks(v)));
}

static int vvga_init(struct device *d)
{
	struct vvga *v = (struct vvga *)d;

	vvga_screen_clear(&v->screen);
	return d->board->memory
		       ? backing_alloc(VVGA_BYTES / PAGE_SIZE, d->board->settings->owner, &v->backing)
		       : 0;
}

static int vvga_attach(struct device *d)
{
	struct vvga *v = (struct vvga *)d;
	const struct slot_desc desc = { .base = gfn(LAYOUT_VGA_TEXT >> PAGE_SHIFT),
		.pages = VVGA_BYTES / PAGE_SIZE,
		.backing = v->backing };
	int err = v->backing ? slot_add(d->board->memory, &desc, &v->slot) : 0;

	if (err)
		return err;
	device_timer(d, &v->timer, vga_fire);
	v->timer.long_work = true;
	/* Between them lies a printer's port. */
	device_ports(d, &v->low, 0x3b0, 0x3bc - 0x3b0, BUS_1, vga_low_read, vga_low_write);
	device_ports(d, &v->high, 0x3c0, 0x3dd - 0x3c0, BUS_1, vga_high_read, vga_high_write);
	return 0;
}

static void vvga_detach(struct device *d)
{
	struct vvga *v = (struct vvga *)d;
	struct mmu_ticket ticket; /* no vCPU has run yet: there is no grace to wait for */

	if (v->backing)
		slot_delete(d->board->memory, v->slot, &ticket);
}

static bool vvga_destroy(struct device *d, unsigned most)
{
	return backing_free_some(&((struct vvga *)d)->backing, most);
}

const struct device_kind vvga_kind = {
	.name = "VGA text screen",
	.size = sizeof(struct vvga),
	.lock = LOCK_CONSOLE,
	.init = vvga_init,
	.attach = vvga_attach,
	.detach = vvga_detach,
	.reset = vvga_reset,
	.destroy = vvga_destroy,
};
