/* SPDX-License-Identifier: MIT */
/* The screen: the current mode of the Graphics Output Protocol (UEFI 12.9), if it is plain memory. */
#include "boot/video.h"

#include "boot/firmware.h"
#include "boot/screen.h"

/* The four-byte pixels that Lethe draws; any other order of colours is FB_NONE. */
static enum fb_format format_of(const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *info)
{
	const EFI_PIXEL_BITMASK *m = &info->PixelInformation;

	switch (info->PixelFormat) {
	case PixelBlueGreenRedReserved8BitPerColor:
		return FB_BGRX8888;
	case PixelRedGreenBlueReserved8BitPerColor:
		return FB_RGBX8888;
	case PixelBitMask:
		if (m->GreenMask != 0xff00)
			return FB_NONE;
		if (m->RedMask == 0xff0000 && m->BlueMask == 0xff)
			return FB_BGRX8888;
		if (m->RedMask == 0xff && m->BlueMask == 0xff0000)
			return FB_RGBX8888;
		return FB_NONE;
	default: /* PixelBltOnly: no memory to draw into */
		return FB_NONE;
	}
}

void firmware_video(struct boot_info *bi)
{
	struct framebuffer *fb = &bi->fb;
	const char *why;
	EFI_GUID guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
	EFI_GRAPHICS_OUTPUT_PROTOCOL *gop = NULL;
	const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *info;

	/* That of the console first: with two graphics cards, the one that people look at. */
	if (EFI_ERROR(
		    firmware.boot->HandleProtocol(firmware.table->ConsoleOutHandle, &guid, (void **)&gop)) &&
		EFI_ERROR(firmware.boot->LocateProtocol(&guid, NULL, (void **)&gop)))
		return;
	if (!gop || !gop->Mode || !gop->Mode->Info || !gop->Mode->FrameBufferBase)
		return;
	info = gop->Mode->Info;
	fb->base = hpa(gop->Mode->FrameBufferBase);
	fb->width = info->HorizontalResolution;
	fb->height = info->VerticalResolution;
	fb->stride = info->PixelsPerScanLine;
	fb->format = format_of(info);
	if (fb->format == FB_NONE)
		return;
	why = video_size(fb, gop->Mode->FrameBufferSize, bi->range, bi->nranges);
	if (why)
		say("The screen will not be used: %s.", why);
}
