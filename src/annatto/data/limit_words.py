"""The words of LIMIT collections: patterns, names, and what people may like, all our own lists.

Every item is one word and stands once, so that no item is part of another. Names are made of
syllables and mean nobody.
"""

# ruff: noqa: SIM905 - quotes around each word would hide the words

from __future__ import annotations

from typing import Literal

Pattern = Literal["dense", "random", "cycle", "disjoint"]
"""Which pairs of documents answer a query; see `data.limit.limit`."""
FIRST = (
    "Ab Bel Cor Dal El Fen Gar Hel Is Jor Kel Lor Mar Nor Ol Per Quin Ros Sel Tam Ul Ver Wil "
    "Yor".split(),
    "a an ara eda ena eth ian ina ira isa o on ora uel una wen".split(),
)
"""Beginnings and ends of first names."""
LAST = (
    "Ash Birk Crow Dun Ender Fair Glen Hart Ing Kirk Lang Mere North Oak "
    "Pem Rath Stan Thorn".split(),
    "bert bury by combe dale den ford gate ham hurst ley man more "
    "ridge stead ton wick worth".split(),
)
"""Beginnings and ends of last names."""

ITEMS: tuple[str, ...] = tuple(
    """
Aardvarks Albatrosses Alligators Alpacas Anchovies Anemones Angelfish Anteaters Antelopes Ants
Armadillos Axolotls Baboons Badgers Barnacles Barracudas Bats Beagles Bears Beavers Beetles Bison
Blackbirds Bluebirds Boars Bobcats Bonobos Buffaloes Bulldogs Bumblebees Butterflies Buzzards
Camels Canaries Capybaras Caracals Caribou Cassowaries Caterpillars Catfish Cats Centipedes
Chameleons Cheetahs Chickadees Chickens Chimpanzees Chinchillas Chipmunks Cicadas Civets Clams
Clownfish Cobras Cockatoos Cockroaches Collies Condors Corals Cormorants Cougars Cows Coyotes
Crabs Cranes Crayfish Crickets Crocodiles Crows Cuckoos Cuttlefish Dachshunds Dalmatians Deer
Dingoes Dogs Dolphins Donkeys Dormice Doves Dragonflies Ducks Dugongs Eagles Earthworms Echidnas
Eels Egrets Elephants Elks Emus Falcons Ferrets Finches Fireflies Flamingos Fleas Flounders Foxes
Frogs Gannets Gazelles Geckos Geese Gerbils Gibbons Giraffes Gnus Goats Goldfish Gorillas
Grasshoppers Grebes Greyhounds Grouse Guppies Gulls Haddock Halibut Hamsters Hares Hawks
Hedgehogs Herons Herrings Hippopotamuses Hornbills Hornets Horses Hummingbirds Huskies Hyenas
Ibises Iguanas Impalas Jackals Jackdaws Jaguars Jays Jellyfish Kangaroos Kestrels Kingfishers
Kiwis Koalas Krill Ladybirds Lampreys Larks Leeches Lemmings Lemurs Leopards Limpets Lions
Lizards Llamas Lobsters Locusts Loons Lorises Lynxes Macaques Macaws Mackerel Magpies Mallards
Manatees Mandrills Mantises Marmots Martens Meerkats Millipedes Minks Minnows Mockingbirds Moles
Mongooses Monkeys Moose Mosquitoes Moths Mules Muskrats Mussels Narwhals Newts Nightingales
Nuthatches Ocelots Octopuses Okapis Opossums Orangutans Orcas Orioles Oryxes Ospreys Ostriches
Otters Owls Oxen Oysters Pandas Pangolins Panthers Parakeets Parrots Partridges Peacocks
Peccaries Pelicans Penguins Perch Petrels Pheasants Pigeons Pigs Piranhas Platypuses Plovers
Polecats Ponies Poodles Porcupines Porpoises Prawns Ptarmigans Puffins Pugs Pumas Pythons Quails
Quokkas Rabbits Raccoons Rats Ravens Reindeer Rhinoceroses Roadrunners Robins Rooks Roosters
Salamanders Salmon Sandpipers Sardines Scallops Scorpions Seahorses Seals Shags Sharks Sheep
Shrews Shrimps Skunks Skylarks Sloths Slugs Snails Snakes Sparrows Spiders Sponges Spoonbills
Squids Squirrels Starfish Starlings Stingrays Stoats Storks Sturgeons Swallows Swans Swifts
Swordfish Tadpoles Tapirs Tarantulas Tarsiers Termites Terns Terriers Thrushes Tigers Toads
Tortoises Toucans Trout Tuna Turbots Turkeys Turtles Urchins Vipers Voles Vultures Wallabies
Walruses Warthogs Wasps Weasels Weevils Whales Whelks Wildebeests Wolverines Wolves Wombats
Woodpeckers Wrens Yaks Zebras Zebus Almonds Apples Apricots Artichokes Asparagus Aubergines
Avocados Bagels Baguettes Bamboo Bananas Barley Basil Beans Beetroots Bilberries Biscuits
Blackberries Blackcurrants Blueberries Bread Brioche Broccoli Brownies Buckwheat Burritos Butter
Buttermilk Cabbages Cakes Candyfloss Cannelloni Capers Caramel Caraway Cardamom Carrots Cashews
Cassava Cauliflowers Caviar Celeriac Celery Chard Cheddar Cheesecake Cherries Chestnuts Chicory
Chilies Chives Chocolate Chorizo Chowder Chutney Cider Cinnamon Clementines Cloves Cocoa Coconuts
Coffee Coleslaw Coriander Cornbread Cornflakes Couscous Crackers Cranberries Cream Crepes Cress
Croissants Croutons Crumpets Cucumbers Cumin Cupcakes Currants Curry Custard Damsons Dandelions
Dates Dill Doughnuts Dumplings Edamame Eggnog Eggs Elderberries Enchiladas Endives Espresso
Falafel Fennel Fenugreek Feta Figs Flapjacks Focaccia Fondue Fudge Galangal Garlic Gelato
Gherkins Ginger Gingerbread Gnocchi Gooseberries Gorgonzola Gouda Granola Grapefruits Grapes
Gravy Guacamole Guavas Haggis Halloumi Ham Hamburgers Hazelnuts Honey Honeydew Horseradish Hummus
Jackfruits Jam Jelly Juniper Kale Kebabs Kedgeree Ketchup Kimchi Kippers Kohlrabi Kumquats Lamb
Lasagne Lavender Leeks Lemonade Lemongrass Lemons Lentils Lettuce Limes Liquorice Lollipops
Lychees Macadamias Macaroni Macaroons Mandarins Mangoes Marmalade Marshmallows Marzipan
Mascarpone Mayonnaise Meatballs Melons Meringues Milk Millet Mint Miso Molasses Mozzarella Muesli
Muffins Mulberries Mushrooms Mustard Naan Nachos Nectarines Noodles Nougat Nutmeg Oatmeal Okra
Olives Omelettes Onions Oranges Oregano Paella Pancakes Papayas Paprika Parmesan Parsley Parsnips
Pastrami Peaches Peanuts Pears Peas Pecans Pepperoni Peppers Persimmons Pesto Pickles Pies
Pineapples Pistachios Pizza Plantains Plums Polenta Pomegranates Popcorn Porridge Potatoes
Pretzels Prosciutto Prunes Pudding Pumpkins Quesadillas Quiche Quinces Quinoa Radishes Raisins
Ramen Raspberries Ravioli Relish Rhubarb Rice Ricotta Risotto Rocket Rosemary Rye Saffron Sage
Salad Salami Salsa Salt Samosas Sandwiches Satsumas Sauerkraut Sausages Scones Seaweed Semolina
Sesame Shallots Sherbet Shortbread Sorbet Sorghum Sourdough Soy Spaghetti Spinach Sprouts Steak
Stew Strawberries Strudel Sultanas Sunflowers Sushi Syrup Tabbouleh Tacos Tagine Tahini Tamales
Tamarind Tangerines Tapioca Tarragon Tarts Tea Tempeh Tempura Thyme Tiramisu Toast Toffee Tofu
Tomatoes Tortillas Trifle Truffles Turmeric Turnips Tzatziki Vanilla Vinegar Waffles Walnuts
Wasabi Watercress Watermelons Wheat Yams Yogurt Zucchini Accounting Acoustics Acting Aerobics
Aerodynamics Agriculture Alchemy Algebra Algorithms Anatomy Animation Anthropology Aquariums
Archaeology Archery Architecture Arithmetic Astrology Astronomy Athletics Auctions
Autobiographies Autumn Aviation Babysitting Backgammon Backpacking Badminton Baking Ballads
Ballet Ballooning Banking Barbecues Baseball Basketball Beachcombing Beekeeping Billiards Bingo
Biochemistry Biographies Biology Biophysics Birdwatching Blacksmithing Blogging Bobsleighing
Bonsai Bookbinding Botany Bouldering Bowling Boxing Brewing Bullfights Bungees Calculus
Calligraphy Camping Canoeing Cardiology Carnivals Carpentry Cartography Cartoons Caving Ceramics
Charades Cheerleading Chemistry Chess Choirs Choreography Cinema Circuses Climatology Climbing
Comedy Comics Composting Concerts Conjuring Cooking Cosmology Criminology Cricketers Crocheting
Croquet Crosswords Cryptography Curling Cybernetics Cycling Dancing Darts Debating Decathlons
Decoupage Dentistry Dermatology Diplomacy Divination Diving Dodgeball Dominoes Drama Drawing
Dressage Driving Drumming Ecology Econometrics Economics Electronics Embroidery Encryption
Engineering Engraving Entomology Epics Epidemiology Epistemology Essays Etching Ethics
Ethnography Etymology Evolution Fables Falconry Farming Fashion Fencing Festivals Fiction
Fireworks Fishing Floristry Folklore Football Foraging Forestry Fractals Fractions Frescoes
Frisbee Gambling Gardening Gastronomy Genealogy Genetics Geocaching Geography Geology Geometry
Geophysics Gerontology Gliding Golf Gossip Grammar Gymnastics Haiku Handball Harmonies Heraldry
Herpetology Hieroglyphs Hiking Histology History Hockey Holograms Homeopathy Horticulture Humour
Hunting Hurdles Hydrology Hypnosis Iconography Illustration Improvisation Jigsaws Jogging Jokes
Jousting Judo Juggling Karaoke Karate Karting Kayaking Kendo Kinetics Knitting Lacemaking
Lacrosse Law Legends Limericks Linguistics Literature Lithography Logic Ludo Lullabies Luge
Macrame Magic Mahjong Mandalas Manga Marathons Marquetry Massage Mathematics Mechanics Medicine
Meditation Memoirs Metallurgy Metaphysics Meteorology Microbiology Microscopy Milling Mime
Mindfulness Mineralogy Mnemonics Modelling Morphology Mosaics Motocross Mountaineering Murals
Musicals Mycology Mysticism Mythology Navigation Needlework Neurology Novels Numerology
Numismatics Nursing Nutrition Obstetrics Oceanography Odes Opera Optics Orienteering Origami
Ornithology Orthopaedics Oncology Paintball Painting Palaeontology Pantomimes Papermaking
Parables Parachuting Paragliding Parkour Parodies Patchwork Pathology Pediatrics Pentathlons
Percussion Petanque Pharmacology Philately Philosophy Phonetics Photography Physics Physiology
Pilates Pilgrimages Pinball Plumbing Podcasts Poetry Poker Politics Polo Pottery Printmaking
Probability Programming Proverbs Psychiatry Psychology Puns Puppetry Puzzles Quilting Quizzes
Racing Rafting Raffles Radiology Rallying Rappelling Reading Recycling Reflexology Relativity
Rhetoric Riddles Rodeos Romances Rounders Rowing Rugby Running Sailing Satire Scouting Scrabble
Scrapbooking Sculpture Seismology Semantics Sewing Shipbuilding Shogi Shooting Shopping Singing
Skateboarding Skating Skeet Sketching Skiing Skydiving Sledding Snooker Snorkelling Snowboarding
Soccer Sociology Softball Solitaire Sonnets Spelling Squash Statistics Storytelling Sudoku Sumo
Sunbathing Surfing Surgery Surrealism Swimming Tailoring Tango Tapestries Tarot Taxidermy
Taxonomy Tennis Theatre Theology Thermodynamics Thrillers Tobogganing Topiary Topology
Tournaments Toxicology Tragedies Trampolining Translation Traveling Trekking Triathlons
Trigonometry Trivia Typography Upholstery Ventriloquism Virology Volcanology Volleyball
Volunteering Walking Weaving Weightlifting Welding Westerns Whist Whittling Windsurfing
Winemaking Woodcuts Woodturning Wrestling Writing Yachting Yodelling Yoga Zoology Zumba Abbeys
Acrylics Aerials Almanacs Aluminium Amber Ambulances Amethysts Amphitheatres Amplifiers Anchors
Anthems Antiques Anvils Aprons Aqueducts Arbours Archipelagos Armchairs Armour Asteroids Atlases
Atolls Attics Auroras Avalanches Avenues Axes Backpacks Badges Bagpipes Balconies Balloons Balls
Bandages Bandanas Banisters Banjos Banknotes Banners Barges Barns Barometers Barrels Basements
Basins Baskets Bassoons Batteries Bayonets Bays Beaches Beacons Beads Beakers Bedspreads Bells
Belts Benches Bicycles Binoculars Blankets Blazers Blenders Blizzards Blouses Boats Bobbins Bogs
Bolts Bonfires Bonnets Bookcases Bookmarks Boomerangs Boots Bottles Boulders Boulevards Bouquets
Bowls Bowties Boxes Bracelets Braids Brass Breezes Bricks Bridges Briefcases Brochures Bronze
Brooches Brooms Brushes Bubbles Buckets Buckles Bugles Bungalows Bunting Buoys Buses Butterscotch
Buttons Cabinets Cabins Cables Cactuses Cafes Cairns Calculators Calendars Cameras Canals
Candelabras Candles Canes Cannons Canopies Canvas Canyons Capes Caps Caravans Cardboard Cardigans
Carousels Carpets Carriages Cars Cashmere Castanets Castles Catapults Cathedrals Cauldrons Caves
Celestas Cellars Cellos Cement Chains Chairs Chalets Chalk Chandeliers Chapels Chariots Charms
Chateaux Chimneys Chisels Chopsticks Clarinets Clavichords Clay Cliffs Cloaks Clocks Clogs Clouds
Clover Coaches Coasters Coats Cobblestones Coins Colanders Collages Collars Colonnades Columns
Combs Comets Compasses Computers Concertinas Concrete Confetti Constellations Convertibles Copper
Cork Cornets Corridors Corsets Cottages Cotton Courtyards Cradles Crates Crayons Creeks Crests
Crossbows Crowns Crucibles Crystals Cuckooflowers Cufflinks Cups Curtains Cushions Cutlery
Cymbals Daggers Dams Dawn Deckchairs Deltas Denim Deserts Desks Dewdrops Diamonds Diaries Dice
Dictionaries Dirndls Discs Dishwashers Docks Dolls Domes Doorbells Doors Drawbridges Dresses
Driftwood Drills Drizzle Drones Drums Dulcimers Dunes Dungarees Dusk Dustpans Earmuffs Earrings
Easels Eclipses Elevators Emeralds Encyclopedias Engines Envelopes Erasers Escalators Espadrilles
Estuaries Euphoniums Fans Farmhouses Feathers Fedoras Felt Fences Ferries Fiddles Fireplaces
Fjords Flags Flannel Flasks Flippers Floods Flutes Flying Foils Fog Footbridges Footpaths Forests
Forges Forks Fortresses Fossils Fountains Frost Funnels Furnaces Fuses Gables Galaxies Galleries
Galoshes Garages Gardens Garlands Garnets Gates Gazebos Gears Geodes Geysers Glaciers Glass
Globes Gloves Glue Goblets Goggles Gold Gondolas Gongs Goulash Gowns Gramophones Granite Grass
Gravel Greenhouses Grottos Guitars Gulfs Gutters Gyroscopes Hail Hairpins Hamlets Hammers
Hammocks Handbags Handcuffs Handkerchiefs Hangars Harbours Harmonicas Harmoniums Harnesses Harps
Harpsichords Hatchets Hats Hawthorns Headbands Headlands Headphones Hedges Helicopters Helmets
Hills Hinges Holsters Hoodies Hooks Horizons Horns Horoscopes Hourglasses Houseboats Hovercrafts
Huts Icebergs Icicles Igloos Incense Inkwells Inns Instruments Iron Islands Isthmuses Ivory
Jackets Jade Jars Jeans Jeeps Jerseys Jewels Joists Journals Jugs Jukeboxes Jungles Kaleidoscopes
Kazoos Kerosene Kettles Keyboards Keys Kilns Kilts Kimonos Kites Knapsacks Knights Knives
Labyrinths Lace Ladders Ladles Lagoons Lakes Lampposts Lamps Lanterns Laptops Lathes Laurels Lava
Lawns Leather Leggings Lenses Letterboxes Levers Libraries Lichens Lighthouses Lightning Linen
Lipstick Lockets Locomotives Locks Looms Lutes Lyres Magazines Magnets Magnolias Mallets
Mandolins Mannequins Mansions Mantels Maps Maracas Marble Marbles Marigolds Marimbas Markets
Marshes Masks Matchboxes Mausoleums Mazes Meadows Medals Megaphones Metronomes Meteors
Microphones Microscopes Midnight Mills Minarets Mirrors Mist Mittens Moats Moccasins Monasteries
Monocles Monsoons Monuments Moonlight Moons Moorings Mopeds Moss Motorcycles Mountains Mugs
Museums Nails Napkins Nebulas Necklaces Needles Neon Nests Nets Newspapers Nightgowns Notebooks
Nuggets Nylon Oars Oases Obelisks Oboes Obsidian Ocarinas Oceans Octagons Onyx Opals Orchards
Orchestras Organs Ornaments Ottomans Overalls Overcoats Paddles Padlocks Pagodas Palaces Palettes
Palisades Pans Paper Papyrus Parasols Parchment Parkas Parks Pastels Paths Patios Pavements
Pavilions Pebbles Pedestals Pencils Pendants Pendulums Peninsulas Pens Perfumes Pergolas
Periscopes Pewter Photographs Pianos Piccolos Piers Pillows Pinafores Pinwheels Pipes Plaid
Planetariums Planets Plateaus Plates Platinum Plaza Ploughs Polygons Ponchos Ponds Porcelain
Porches Postcards Posters Prairies Prisms Propellers Pulleys Pulsars Pumps Puppets Purses Pyjamas
Pyramids Quarries Quartz Quays Quicksand Quills Quilts Quivers Radars Radiators Radios Rafts
Rails Rain Rainbows Raincoats Rakes Ramparts Rapids Rattles Ravines Razors Recorders Reefs
Refrigerators Reservoirs Ribbons Rings Rivers Roads Robots Rockets Roofs Ropes Rubies Rucksacks
Rugs Rulers Sabres Saddles Sailboats Sandals Sandcastles Sandpaper Sapphires Sarongs Sashes
Satchels Satellites Satin Saucers Saunas Savannas Saws Saxophones Scaffolds Scarecrows Scarves
Schooners Scissors Scooters Screwdrivers Screws Scrolls Seesaws Shawls Shells Shelves Shields
Shingles Ships Shoes Shovels Shrines Shutters Sickles Sidecars Silk Silver Sitars Skateparks
Skirts Skyscrapers Slate Sledges Sleet Sleighs Slingshots Slippers Smocks Snow Snowflakes Snowmen
Snowshoes Soap Socks Sofas Solstices Spades Spanners Spears Spectacles Spires Spoons Springs
Springtime Spurs Stadiums Staircases Stairwells Stalactites Stalagmites Stamps Stars Statues
Steamboats Steamrollers Steel Steeples Stencils Stethoscopes Stilts Stockings Stools Storms
Stoves Streams Streetlamps String Submarines Suede Suitcases Summer Sundials Sunglasses Sunrises
Sunsets Supernovas Suspenders Swamps Sweaters Swings Swords Synthesizers Tablecloths Tambourines
Tankards Tankers Tarpaulins Tartan Tassels Taxis Teacups Teapots Telegrams Telephones Telescopes
Televisions Temples Tents Terraces Thermometers Thimbles Thrones Thunder Tiaras Tides Tiles
Timpani Tinsel Toasters Toboggans Tombstones Tongs Toolboxes Topaz Torches Tornadoes Totems
Towels Towers Tractors Trains Trams Treehouses Trellises Triangles Tricycles Trinkets Tripods
Trolleys Trombones Trousers Trowels Trucks Trumpets Tubas Tugboats Tundras Tunics Tunnels Turbans
Turbines Turquoise Turrets Tuxedos Tweed Tweezers Twilight Typewriters Typhoons Ukuleles
Umbrellas Unicycles Uniforms Vacuums Valleys Vans Varnish Vases Vaults Veils Velvet Verandas
Vests Viaducts Villages Vines Vineyards Vinyl Violas Violins Volcanoes Wagons Waistcoats Walkways
Wallets Wallpaper Wands Wardrobes Warehouses Waterfalls Waterwheels Weathervanes Webcams Wells
Wetlands Wharves Wheelbarrows Wheels Whirlpools Whirlwinds Whistles Wicker Wigs Willows Windmills
Windows Winter Wool Wreaths Wrenches Xylophones Yachts Yarn Yurts Zeppelins Zippers Zithers
Acacias Acorns Alders Amaryllis Asters Azaleas Balsam Baobabs Begonias Birches Bluebells Brambles
Bromeliads Buttercups Camellias Carnations Cedars Chrysanthemums Conifers Cornflowers Cowslips
Crocuses Cyclamens Cypresses Daffodils Dahlias Daisies Delphiniums Dogwoods Edelweiss Elders Elms
Eucalyptus Evergreens Ferns Firs Forsythias Foxgloves Freesias Fuchsias Gardenias Gentians
Geraniums Ginkgos Gladioli Gorse Heather Hemlocks Hibiscus Hickories Hollies Hollyhocks
Honeysuckles Hornbeams Hyacinths Hydrangeas Irises Ivy Jacarandas Jasmine Larches Larkspurs
Lilacs Lilies Lobelias Lotuses Lupins Mahogany Mangroves Maples Mimosas Mistletoe Myrtles
Narcissi Nasturtiums Nettles Oaks Oleanders Orchids Palms Pansies Peonies Periwinkles Petunias
Pines Poinsettias Poplars Poppies Primroses Redwoods Reeds Rhododendrons Roses Rowans Rushes
Sequoias Snapdragons Snowdrops Spruces Succulents Sumacs Sycamores Tamarisks Teak Thistles Tulips
Verbenas Violets Walnutwood Wisteria Yews Zinnias""".split()
)
