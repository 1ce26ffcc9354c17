package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"path"

	"github.com/millstream-go/millstream/examples/internal/show"
	"github.com/millstream-go/millstream/pipeline"
)

// A commission is one picture to be drawn.
type commission struct {
	path    string
	scene   scene
	size    image.Point
	seed    [2]uint64
	spoiler func([]byte) []byte // nil for a picture that is as it should be
}

// These come in turns. Their numbers have no common divisor, so that a few pictures
// show many combinations.
var (
	folders = []string{"autumn", "spring", "summer", "winter"}
	aspects = []image.Point{{3, 2}, {1, 1}, {2, 3}, {16, 9}, {4, 3}, {3, 1}, {3, 4}, {1, 2}, {5, 4}}
	scenes  = []scene{
		{"dunes", "jpg", paintDunes}, {"marbles", "png", paintMarbles}, {"julia", "png", paintJulia},
		{"clouds", "jpg", paintClouds}, {"page", "gif", paintPage}, {"weave", "gif", paintWeave},
		{"planet", "jpeg", paintPlanet},
	}
	spoilers = []func([]byte) []byte{cutOff, claimHuge, notAPicture}
)

// commissions plans the pictures that the options ask for. The same options plan the
// same, and a picture depends on the seed and its own number only.
func commissions(o options) []commission {
	all := make([]commission, o.count)
	for i := range all {
		rng := rand.New(rand.NewPCG(o.seed, uint64(i)))
		s, aspect := scenes[i%len(scenes)], aspects[i%len(aspects)]
		longer := o.side - rng.IntN(o.side*7/10)
		all[i] = commission{
			// Names are used again in other folders, as cameras do.
			path:  path.Join(folders[i%len(folders)], fmt.Sprintf("%s-%d.%s", s.name, 1+i/(len(scenes)*len(folders)), s.format)),
			scene: s,
			size:  aspect.Mul(longer).Div(max(aspect.X, aspect.Y)),
			seed:  [2]uint64{rng.Uint64(), rng.Uint64()},
		}
	}
	for i, which := range rand.New(rand.NewPCG(o.seed, uint64(o.count))).Perm(o.count)[:o.spoil] {
		all[which].spoiler = spoilers[i%len(spoilers)]
	}
	return all
}

// drawInto draws the pictures in a folder, which must be empty or new. Here nothing
// may go wrong, so this pipeline is fail-fast: the first error ends it.
func drawInto(ctx context.Context, folder string, o options) error {
	g, err := openGallery(folder)
	if err != nil {
		return fmt.Errorf("%s: %w", folder, show.Reason(err))
	}
	defer g.close()
	if err := g.onlyHolds(nil); err != nil {
		if _, ok := errors.AsType[*foreignError](err); ok {
			return fmt.Errorf("-keep %s: the folder must be empty", folder)
		}
		return fmt.Errorf("%s: %w", folder, show.Reason(err))
	}
	return pipeline.FromSlice(commissions(o)).ForEach(ctx, func(_ context.Context, c commission) error {
		data, err := c.draw()
		if err != nil {
			return fmt.Errorf("%s: %w", c.path, err)
		}
		if err := g.put(c.path, data); err != nil {
			return fmt.Errorf("%s: %w", c.path, show.Reason(err))
		}
		return nil
	}, pipeline.Named("draw"), pipeline.Workers(o.workers))
}

// draw returns the file of the picture.
func (c commission) draw() ([]byte, error) {
	picture := c.scene.paint(rand.New(rand.NewPCG(c.seed[0], c.seed[1])), c.size)
	var file bytes.Buffer
	var err error
	switch c.scene.format {
	case "gif":
		err = gif.Encode(&file, picture, nil)
	case "png":
		err = (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&file, picture)
	default:
		err = jpeg.Encode(&file, picture, &jpeg.Options{Quality: 88})
	}
	if err != nil {
		return nil, err
	}
	if c.spoiler != nil {
		return c.spoiler(file.Bytes()), nil
	}
	return file.Bytes(), nil
}

// cutOff is a copy that was interrupted.
func cutOff(file []byte) []byte { return file[:len(file)/2] }

// notAPicture is a page of an access point, saved under the name of a picture.
func notAPicture([]byte) []byte { return []byte("<html>Please log in</html>\n") }

// claimHuge is a PNG of a few bytes that claims to have ten billion pixels.
func claimHuge([]byte) []byte {
	header := binary.BigEndian.AppendUint32([]byte("IHDR"), 100_000)
	header = binary.BigEndian.AppendUint32(header, 100_000)
	header = append(header, 8, 6, 0, 0, 0) // 8 bits, colors with alpha
	file := []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d")
	file = append(file, header...)
	return binary.BigEndian.AppendUint32(file, crc32.ChecksumIEEE(header))
}
